//! A new migration is a change of this package: its text becomes part of the binary.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
