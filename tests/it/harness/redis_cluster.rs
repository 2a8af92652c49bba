//! A Redis cluster of our own: three servers that each have a third of the keys, and three replicas.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use super::{
    process::Process,
    servers::{folder, free_port, program, unique},
};

pub struct RedisCluster {
    nodes: Vec<Node>,
}

struct Node {
    port: u16,
    process: Option<Process>,
}

impl Node {
    fn start() -> Self {
        let (port, bus) = (free_port(), free_port());
        let dir = folder().join(unique("cluster"));
        std::fs::create_dir_all(&dir).unwrap();
        let process = Process::start("redis", &program("redis-server"), &dir.join("log"), |command| {
            let (port, bus) = (port.to_string(), bus.to_string());
            command.current_dir(&dir).args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
            command.args(["--port", &port, "--cluster-port", &bus, "--cluster-enabled", "yes"]);
            command.args(["--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no"]);
            // A replica that has just begun may take over, too.
            command.args(["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"]);
        });
        Self { port, process: Some(process) }
    }

    /// `None`: it does not answer.
    fn ask(&self, command: &[&str]) -> Option<String> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1)).ok()?;
        connection.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut built = redis::cmd(command[0]);
        built.arg(&command[1..]).query(&mut connection).ok()
    }

    fn was_sent(&self, command: &str) -> bool {
        let name = format!("cmdstat_{command}:");
        self.ask(&["INFO", "commandstats"]).is_some_and(|told| told.contains(&name))
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl RedisCluster {
    pub fn start() -> Self {
        let nodes: Vec<Node> = (0..6).map(|_| Node::start()).collect();
        for node in &nodes {
            eventually("a server of the cluster answers", || node.ask(&["PING"]).is_some());
        }
        let mut cli = Command::new(program("redis-cli"));
        cli.args(["--cluster", "create"]);
        cli.args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
        let made = cli.args(["--cluster-replicas", "1", "--cluster-yes"]).output().unwrap();
        assert!(made.status.success(), "redis-cli: {}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { nodes };
        eventually("each replica has its server", || cluster.is_whole());
        cluster
    }

    /// All are there, know of all keys, and each replica follows.
    fn is_whole(&self) -> bool {
        let is = |node: &Node, command: &[&str], words: &[&str]| {
            node.ask(command).is_some_and(|told| words.iter().all(|word| told.contains(word)))
        };
        let (masters, replicas) = self.nodes.split_at(3);
        masters
            .iter()
            .all(|node| is(node, &["CLUSTER", "INFO"], &["cluster_state:ok", "cluster_known_nodes:6"]))
            && replicas.iter().all(|node| {
                is(node, &["INFO", "replication"], &["role:slave", "master_link_status:up"])
                    && is(node, &["CLUSTER", "INFO"], &["cluster_state:ok", "cluster_known_nodes:6"])
            })
    }

    /// Named by two of its servers.
    pub fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[1].port, self.nodes[2].port)
    }

    /// How many of the three servers that have the keys at first were sent a command.
    pub fn called(&self, command: &str) -> usize {
        self.nodes[..3].iter().filter(|node| node.was_sent(command)).count()
    }

    /// The one of the three that has a key at first.
    fn server_of(&self, key: &str) -> usize {
        let slot: u16 = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", key]).unwrap().parse().unwrap();
        match slot {
            0..=5_460 => 0,
            5_461..=10_922 => 1,
            _ => 2,
        }
    }

    pub fn kill_server_of(&mut self, key: &str) {
        let at = self.server_of(key);
        self.nodes[at].process = None;
    }

    /// One of the other two, which the address names, says nothing any more: it can be connected to, and does not answer.
    pub fn silence_another_than_that_of(&mut self, key: &str) {
        let at = if self.server_of(key) == 1 { 2 } else { 1 };
        self.nodes[at].process.as_ref().unwrap().signal("STOP");
    }

    /// How many replicas have taken over, and run scripts of clients: as a replica one runs what they did, not them.
    pub fn taken_over(&self) -> usize {
        let serves = |node: &&Node| {
            let role = node.ask(&["INFO", "replication"]);
            role.is_some_and(|role| role.contains("role:master")) && node.was_sent("evalsha")
        };
        self.nodes[3..].iter().filter(serves).count()
    }
}
