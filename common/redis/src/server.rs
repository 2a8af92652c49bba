//! What an address names: one Redis, or a cluster by some of its nodes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
    cluster::{ClusterClient, ClusterConfig},
    cluster_async::ClusterConnection,
};

use super::CONNECT;

/// How the address of a cluster begins, and what each of its nodes' begins with.
const CLUSTER: [(&str, &str); 2] = [("redis-cluster://", "redis://"), ("rediss-cluster://", "rediss://")];

#[derive(Clone)]
pub(crate) enum Server {
    One(Client),
    Cluster {
        client: Arc<ClusterClient>,
        /// Those that the address names. What is published at any node is heard at all of them.
        nodes: Vec<Client>,
        /// The node to listen at next: another after each that was lost.
        next: Arc<AtomicUsize>,
    },
}

/// A connection to one server, or one to each of a cluster.
#[derive(Clone)]
pub enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

fn late() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

/// The addresses of a cluster's nodes; `None` for what is none.
fn nodes(url: &str) -> Option<Vec<String>> {
    let (scheme, rest) =
        CLUSTER.iter().find_map(|(cluster, node)| Some((node, url.strip_prefix(cluster)?)))?;
    let (who, hosts) = rest.rsplit_once('@').map_or(("", rest), |(who, hosts)| (who, hosts));
    let at = if who.is_empty() { String::new() } else { format!("{who}@") };
    let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
    Some(hosts.map(|host| format!("{scheme}{at}{host}")).collect())
}

impl Server {
    pub fn open(url: &str) -> RedisResult<Self> {
        let Some(nodes) = nodes(url) else { return Ok(Self::One(Client::open(url)?)) };
        // Whoever asks tries again by itself, or goes on without.
        let client = ClusterClient::builder(nodes.clone()).retries(1).build()?;
        let nodes = nodes.into_iter().map(Client::open).collect::<RedisResult<_>>()?;
        Ok(Self::Cluster { client: Arc::new(client), nodes, next: Arc::default() })
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    pub async fn connect(&self, response: Duration) -> RedisResult<Connection> {
        // The libraries' timeout ends before the handshake: a server that accepts and says nothing is caught here.
        let connected = tokio::time::timeout(CONNECT, async {
            match self {
                Self::One(client) => {
                    let config = AsyncConnectionConfig::new()
                        .set_connection_timeout(Some(CONNECT))
                        .set_response_timeout(Some(response));
                    let connection = client.get_multiplexed_async_connection_with_config(&config).await;
                    connection.map(Connection::One)
                }
                Self::Cluster { client, .. } => {
                    let config =
                        ClusterConfig::new().set_connection_timeout(CONNECT).set_response_timeout(response);
                    let connection = client.get_async_connection_with_config(config).await;
                    connection.map(Connection::Cluster)
                }
            }
        });
        connected.await.unwrap_or_else(|_| Err(late()))
    }

    pub async fn pubsub(&self) -> RedisResult<PubSub> {
        let client = match self {
            Self::One(client) => client,
            Self::Cluster { nodes, next, .. } => {
                let at = next.fetch_add(1, Ordering::Relaxed) % nodes.len().max(1);
                nodes.get(at).ok_or_else(late)?
            }
        };
        tokio::time::timeout(CONNECT, client.get_async_pubsub()).await.unwrap_or_else(|_| Err(late()))
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clusters_address_names_its_nodes() {
        let of = |url| nodes(url).map(|nodes| nodes.join(" "));
        assert_eq!(of("redis://a:1"), None);
        assert_eq!(of("redis-cluster://a:1").unwrap(), "redis://a:1");
        assert_eq!(of("redis-cluster://me:p,w@a:1, b:2,").unwrap(), "redis://me:p,w@a:1 redis://me:p,w@b:2");
        assert_eq!(of("rediss-cluster://a:1,b:2").unwrap(), "rediss://a:1 rediss://b:2");
        assert!(Server::open("redis-cluster://").is_err() && Server::open("redis-cluster://a:1").is_ok());
    }
}
