//! The address rule as a table, with a listener that must see nobody.

mod places;

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use places::{INSIDE, REFUSED, names};

/// A listener on every address of this machine that counts who comes, and answers with `answer`.
async fn listener(answer: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("[::]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0u8; 4_096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, seen)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Names lead where the test says; one asked twice may lead elsewhere.
struct Names(Vec<(&'static str, Vec<&'static str>)>, AtomicUsize);

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let asked = self.1.fetch_add(1, Ordering::SeqCst);
        let found = self.0.iter().find(|(known, _)| *known == name);
        let (_, addresses) = found.ok_or(std::io::ErrorKind::NotFound)?;
        if name == "rebinds.example" {
            // Public when first asked, inside ever after.
            return Ok(vec![addresses[asked.min(addresses.len() - 1)].parse().unwrap()]);
        }
        Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }
}

fn egress(allow: &[&str], names: Vec<(&'static str, Vec<&'static str>)>) -> Egress {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    Egress::new(allow, Arc::new(Names(names, AtomicUsize::new(0)))).unwrap()
}

#[tokio::test]
async fn nothing_inside_is_reached_however_it_is_written() {
    let (port, seen) = listener(ok("inside")).await;
    let egress = egress(&[], names());
    assert!(INSIDE.len() + REFUSED.len() >= 150, "{}", INSIDE.len() + REFUSED.len());
    for host in INSIDE {
        for url in [format!("http://{host}:{port}/"), format!("http://{host}:{port}/?x=public.example")] {
            let refused = egress.send(Request::get(&url)).await;
            let kind = matches!(refused, Err(EgressError::Refused(_)));
            // A name that nobody knows is no refusal, but no answer either.
            assert!(kind || *host == "unknown.example" && refused.is_err(), "{url}: {refused:?}");
        }
    }
    for url in REFUSED {
        let refused = egress.send(Request { within: Duration::from_secs(2), ..Request::get(*url) }).await;
        assert!(matches!(refused, Err(EgressError::Refused(_))), "{url}: {refused:?}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "somebody connected");
}

#[test]
fn public_addresses_are_public() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.1",
        "93.184.215.14",
        "100.63.255.255",
        "100.128.0.1",
        "126.0.0.1",
        "128.0.0.1",
        "169.253.1.1",
        "169.255.1.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.1.1",
        "192.169.1.1",
        "198.17.0.1",
        "198.20.0.1",
        "203.0.112.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860:4860::8888",
        "2001:200::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2400::1",
    ] {
        assert!(address::is_public(text.parse().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn what_is_allowed_is_reached_and_its_redirects_are_looked_at_again() {
    let (inside, seen) = listener(ok("inside")).await;
    let redirect = |to: &str| {
        format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    };
    let (direct, _) = listener(redirect(&format!("http://localhost:{inside}/"))).await;
    let (relative, visits) = listener(redirect("/again")).await;
    let (weird, _) = listener(redirect("file:///etc/passwd")).await;
    let allow =
        [format!("127.0.0.1:{direct}"), format!("127.0.0.1:{relative}"), format!("127.0.0.1:{weird}")];
    let allow: Vec<&str> = allow.iter().map(String::as_str).collect();
    let careful = egress(&allow, names());
    let get = |port: u16| Request::get(format!("http://127.0.0.1:{port}/"));
    assert!(matches!(careful.send(get(direct)).await, Err(EgressError::Refused(_))));
    assert!(matches!(careful.send(get(weird)).await, Err(EgressError::Refused(_))));
    assert!(
        matches!(careful.send(get(inside)).await, Err(EgressError::Refused(_))),
        "another port is another place"
    );
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    assert_eq!(careful.send(get(relative)).await.unwrap_err(), EgressError::Redirects);
    assert_eq!(visits.load(Ordering::SeqCst), REDIRECTS + 1);
    let network = egress(&["127.0.0.0/8"], names());
    assert_eq!(network.send(get(inside)).await.unwrap().body, "inside");
    let named = Request::get(format!("http://loop.example:{inside}/"));
    assert_eq!(network.send(named.clone()).await.unwrap().body, "inside");
    assert_eq!(network.send(Request { at_most: 3, ..named }).await.unwrap_err(), EgressError::TooLarge(3));
}

#[tokio::test]
async fn a_closed_one_goes_to_what_is_named_alone() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (inside, _) = listener(ok("inside")).await;
    let (other, seen) = listener(ok("other")).await;
    let to = format!("HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:{other}/\r\nconnection: close\r\n\r\n");
    let (leaves, _) = listener(to).await;
    let allow = [format!("127.0.0.1:{inside}"), format!("127.0.0.1:{leaves}"), "10.0.0.0/8".to_owned()];
    let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    let closed = Egress::only(allow, Arc::new(System)).unwrap();
    let get = |port: u16| Request::get(format!("http://127.0.0.1:{port}/"));
    assert_eq!(closed.send(get(inside)).await.unwrap().body, "inside");
    assert_eq!(closed.check_text("http://10.1.2.3/").map(|_| ()), Ok(()));
    for url in ["http://example.com/", "http://1.1.1.1/", "http://[2606:4700::1]/", "http://127.0.0.1/"] {
        assert_eq!(closed.check_text(url), Err(NOT_NAMED), "{url}");
    }
    assert_eq!(closed.send(get(leaves)).await.unwrap_err(), NOT_NAMED);
    let stays = Request { elsewhere: false, ..get(leaves) };
    assert_eq!(closed.send(stays).await.unwrap_err(), EgressError::Elsewhere);
    assert_eq!(seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let (port, seen) = listener(ok("inside")).await;
    // First an address of an allowed network, then the loopback: what was checked is what is connected to.
    let egress = egress(&["10.0.0.0/8"], names());
    let url = format!("http://rebinds.example:{port}/");
    let first = egress.send(Request { within: Duration::from_millis(300), ..Request::get(&url) }).await;
    assert!(first.is_err(), "{first:?}");
    let second = egress.send(Request::get(&url)).await;
    assert!(matches!(second, Err(EgressError::Refused(_))), "{second:?}");
    assert_eq!(seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let egress = egress(&["127.0.0.1"], Vec::new());
    let slow = Request { within: Duration::from_millis(100), ..Request::get(url) };
    assert_eq!(egress.send(slow).await.unwrap_err(), EgressError::Timeout);
}

#[test]
fn an_allow_list_is_read_or_refused() {
    for (text, expected) in [
        ("localhost", Allowed::Host("localhost".to_owned(), None)),
        ("127.1:11434", Allowed::Host("127.0.0.1".to_owned(), Some(11_434))),
        ("host:80", Allowed::Host("host".to_owned(), Some(80))),
        ("[::1]:80", Allowed::Host("[::1]".to_owned(), Some(80))),
        ("10.0.0.0/8", Allowed::Network("10.0.0.0/8".parse().unwrap())),
    ] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    for text in ["", "a b", "10.0.0.0/99", "user@host", "host/path", "http://x"] {
        assert!(text.parse::<Allowed>().is_err(), "{text}");
    }
}
