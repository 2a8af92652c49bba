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
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};

use super::{CONNECT, RESPONSE};

/// How the address of a cluster begins, and what each of its nodes' begins with.
const CLUSTER: [(&str, &str); 2] = [("redis-cluster://", "redis://"), ("rediss-cluster://", "rediss://")];
/// How long one node of a cluster may take to be reached: a silent one must not keep the others waiting for long.
const CONNECT_NODE: Duration = Duration::from_millis(200);
/// How long a cluster may take: its client asks all named nodes, and then all that there are, each for an answer too.
const CONNECT_ALL: Duration = Duration::from_millis(2_000);

#[derive(Clone)]
pub(crate) enum Server {
    One(Box<Client>),
    Cluster(Arc<Cluster>),
}

/// What the addresses of a cluster's nodes have in common, and the nodes that are named.
pub(crate) struct Cluster {
    before: String,
    after: String,
    client: ClusterClient,
    /// What is published at any node of a cluster is heard at all of them.
    nodes: Vec<Client>,
    /// The node to listen at next: another after each that was lost.
    next: AtomicUsize,
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

/// What stands before and after the hosts of a cluster's address, in that of each node, and the hosts; `None` for what is no cluster's.
fn parts(url: &str) -> Option<(String, Vec<&str>, &str)> {
    let (scheme, rest) =
        CLUSTER.iter().find_map(|(cluster, node)| Some((node, url.strip_prefix(cluster)?)))?;
    let at = rest.rfind('@').map_or(0, |at| at + 1);
    let (who, hosts) = rest.split_at(at);
    let (hosts, after) = hosts.split_at(hosts.find(['/', '?', '#']).unwrap_or(hosts.len()));
    let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    Some((format!("{scheme}{who}"), hosts, after))
}

/// The server that has a slot, if it is in this line of `CLUSTER SLOTS`: first and last slot, the server, its replicas.
fn server_of(line: &[Value], slot: i64) -> Option<String> {
    let [Value::Int(first), Value::Int(last), Value::Array(server), ..] = line else { return None };
    let [host, Value::Int(port), ..] = &server[..] else { return None };
    if !(first..=last).contains(&&slot) {
        return None;
    }
    let host: String = redis::from_redis_value_ref(host).ok()?;
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

impl Cluster {
    fn of((before, hosts, after): (String, Vec<&str>, &str)) -> RedisResult<Self> {
        let addresses = hosts.iter().map(|host| format!("{before}{host}{after}"));
        let nodes = addresses.clone().map(Client::open).collect::<RedisResult<_>>()?;
        // Without limits of its own, a command may wait a second before it is sent again. Once is enough, to follow a key that has moved:
        // whoever asks tries again by itself, or goes on without.
        let client = ClusterClient::builder(addresses).retries(1).min_retry_wait(10).max_retry_wait(100);
        let client = client.connection_timeout(CONNECT_NODE).response_timeout(RESPONSE).build()?;
        Ok(Self { before, after: after.to_owned(), client, nodes, next: AtomicUsize::new(0) })
    }

    /// The server that has a key, as some node says.
    async fn server_of(&self, shared: &mut Connection, key: &str) -> RedisResult<Client> {
        let mut asked = redis::pipe();
        asked.cmd("CLUSTER").arg("KEYSLOT").arg(key).cmd("CLUSTER").arg("SLOTS");
        let (slot, lines): (i64, Vec<Vec<Value>>) = asked.query_async(shared).await?;
        let server = lines.iter().find_map(|line| server_of(line, slot)).ok_or_else(late)?;
        Client::open(format!("{}{server}{}", self.before, self.after))
    }
}

async fn connect(client: &Client, response: Duration) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(response));
    // The library's timeout ends before the handshake: a server that accepts and says nothing is caught here.
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    tokio::time::timeout(CONNECT, connecting).await.unwrap_or_else(|_| Err(late()))
}

impl Server {
    pub fn open(url: &str) -> RedisResult<Self> {
        match parts(url) {
            Some(parts) => Ok(Self::Cluster(Arc::new(Cluster::of(parts)?))),
            None => Ok(Self::One(Box::new(Client::open(url)?))),
        }
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// A connection whose answers take [`RESPONSE`] at most.
    pub async fn connect(&self) -> RedisResult<Connection> {
        match self {
            Self::One(client) => connect(client, RESPONSE).await.map(Connection::One),
            Self::Cluster(cluster) => {
                let connected =
                    tokio::time::timeout(CONNECT_ALL, cluster.client.get_async_connection()).await;
                connected.unwrap_or_else(|_| Err(late())).map(Connection::Cluster)
            }
        }
    }

    /// A connection of its own to the server that has a key. If the key moves, its commands say so by an error.
    pub async fn connect_to(
        &self,
        key: &str,
        shared: impl Future<Output = RedisResult<Connection>>,
        response: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        match self {
            Self::One(client) => connect(client, response).await,
            Self::Cluster(cluster) => {
                connect(&cluster.server_of(&mut shared.await?, key).await?, response).await
            }
        }
    }

    pub async fn pubsub(&self) -> RedisResult<PubSub> {
        let client = match self {
            Self::One(client) => client,
            Self::Cluster(cluster) => {
                let at = cluster.next.fetch_add(1, Ordering::Relaxed) % cluster.nodes.len().max(1);
                cluster.nodes.get(at).ok_or_else(late)?
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
        let of = |url| {
            let (before, hosts, after) = parts(url)?;
            Some(hosts.iter().map(|host| format!("{before}{host}{after}")).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(of("redis://a:1"), None);
        assert_eq!(of("redis-cluster://a:1").unwrap(), "redis://a:1");
        assert_eq!(of("redis-cluster://me:p,w@a:1, b:2,").unwrap(), "redis://me:p,w@a:1 redis://me:p,w@b:2");
        assert_eq!(
            of("rediss-cluster://a:1,[::1]:2/#insecure").unwrap(),
            "rediss://a:1/#insecure rediss://[::1]:2/#insecure"
        );
        assert!(Server::open("redis-cluster://").is_err() && Server::open("redis-cluster://a:1").is_ok());
    }

    #[test]
    fn the_server_of_a_slot_is_read() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let server = |host: &str| Value::Array(vec![text(host), Value::Int(7), text("id")]);
        let line = [Value::Int(5), Value::Int(9), server("a"), server("replica")];
        assert_eq!((server_of(&line, 4), server_of(&line, 9).as_deref()), (None, Some("a:7")));
        assert_eq!(server_of(&[Value::Int(5), Value::Int(9), server("::1")], 5).as_deref(), Some("[::1]:7"));
        assert_eq!(server_of(&[Value::Int(5), Value::Nil], 5), None);
    }
}
