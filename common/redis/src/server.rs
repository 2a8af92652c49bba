//! What an address names: one Redis, or a cluster by some of its nodes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, Pipeline, RedisError, RedisFuture, RedisResult,
    Value,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};

use super::{CONNECT, RESPONSE};

/// How the address of a cluster begins, and what each of its nodes' begins with.
const CLUSTER: [(&str, &str); 2] = [("redis-cluster://", "redis://"), ("rediss-cluster://", "rediss://")];
/// How long a connection to a cluster may take: its client asks all named nodes, and then all that there are, each for so long as one.
const CONNECT_ALL: Duration = Duration::from_millis(2_500);

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
    /// The node to ask or to listen at next: another each time, since one may be lost.
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

/// The server that has a slot, if it is in this line of `CLUSTER SLOTS`: first and last slot, the server, its replicas. One without a
/// name, or with one that means any, is where the node is that was asked.
fn server_of(line: &[Value], slot: i64, asked: &str) -> Option<String> {
    let [Value::Int(first), Value::Int(last), Value::Array(server), ..] = line else { return None };
    let [host, Value::Int(port), ..] = &server[..] else { return None };
    if !(first..=last).contains(&&slot) {
        return None;
    }
    let host: Option<String> = redis::from_redis_value_ref(host).ok()?;
    let host = match host.as_deref() {
        None | Some("" | "0.0.0.0" | "::") => asked,
        // A node that is not known yet.
        Some("?") => return None,
        Some(host) => host,
    };
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

impl Cluster {
    fn of((before, hosts, after): (String, Vec<&str>, &str)) -> RedisResult<Self> {
        let addresses = hosts.iter().map(|host| format!("{before}{host}{after}"));
        let nodes = addresses.clone().map(Client::open).collect::<RedisResult<_>>()?;
        // Without limits of its own, a command may wait a second before it is sent again. Once is enough, to follow a key that has moved:
        // whoever asks tries again by itself, or goes on without. An answer that is late is not waited for any longer.
        let client = ClusterClient::builder(addresses).retries(1).min_retry_wait(10).max_retry_wait(100);
        let client = client.connection_timeout(CONNECT).response_timeout(RESPONSE).build()?;
        Ok(Self { before, after: after.to_owned(), client, nodes, next: AtomicUsize::new(0) })
    }

    /// Another node at each call.
    fn some_node(&self) -> RedisResult<&Client> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len().max(1);
        self.nodes.get(at).ok_or_else(late)
    }

    /// The server that has a key, as some node says.
    async fn server_of(&self, key: &str) -> RedisResult<Client> {
        let node = self.some_node()?;
        let asked = match node.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str(),
            _ => "",
        };
        let mut question = redis::pipe();
        question.cmd("CLUSTER").arg("KEYSLOT").arg(key).cmd("CLUSTER").arg("SLOTS");
        let answer = question.query_async(&mut connect(node, RESPONSE).await?).await?;
        let (slot, lines): (i64, Vec<Vec<Value>>) = answer;
        let server = lines.iter().find_map(|line| server_of(line, slot, asked)).ok_or_else(late)?;
        Client::open(format!("{}{server}{}", self.before, self.after))
    }
}

async fn connect(client: &Client, response: Duration) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(response));
    // A server that accepts and says nothing is caught here, whatever the library's timeout is for.
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

    /// How long the first connection is waited for.
    pub fn patience(&self) -> Duration {
        if self.is_cluster() { CONNECT_ALL } else { CONNECT * 2 }
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
    pub async fn connect_to(&self, key: &str, response: Duration) -> RedisResult<MultiplexedConnection> {
        match self {
            Self::One(client) => connect(client, response).await,
            Self::Cluster(cluster) => connect(&cluster.server_of(key).await?, response).await,
        }
    }

    pub async fn pubsub(&self) -> RedisResult<PubSub> {
        let client = match self {
            Self::One(client) => client,
            Self::Cluster(cluster) => cluster.some_node()?,
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
        assert_eq!((server_of(&line, 4, "x"), server_of(&line, 9, "x").as_deref()), (None, Some("a:7")));
        let at = |host| server_of(&[Value::Int(5), Value::Int(9), server(host)], 5, "x");
        assert_eq!((at("::1").as_deref(), at("?")), (Some("[::1]:7"), None));
        assert_eq!((at("").as_deref(), at("0.0.0.0").as_deref()), (Some("x:7"), Some("x:7")));
        let nameless = Value::Array(vec![Value::Nil, Value::Int(7)]);
        assert_eq!(server_of(&[Value::Int(5), Value::Int(9), nameless], 5, "x").as_deref(), Some("x:7"));
        assert_eq!(server_of(&[Value::Int(5), Value::Nil], 5, "x"), None);
    }
}
