//! The stand-in for Qdrant as a process: `cargo run --release -p rapport-tests --bin qdrant-stand-in -- 6334`.

#[tokio::main]
async fn main() -> Result<(), String> {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(6334);
    let (address, serving) = rapport_tests::StandIn::default().serve(([127, 0, 0, 1], port).into()).await?;
    println!("the stand-in for Qdrant listens on http://{address}");
    serving.await.map_err(|error| error.to_string())
}
