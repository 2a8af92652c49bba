//! End-to-end, conformance, contract and fault tests. They drive the real binary over HTTP, on both stacks, against
//! servers of their own.

mod conformance;
mod contract;
mod faults;
mod harness;
mod providers;
mod routes;

/// Runs an `async fn name(stack: Stack)` on both stacks.
#[macro_export]
macro_rules! both_stacks {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                super::$name($crate::harness::Stack::Embedded).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn production() {
                super::$name($crate::harness::Stack::Production).await;
            }
        }
    )*};
}
