//! A PgBouncer of our own in transaction mode, in front of the shared PostgreSQL.

use std::{
    net::TcpStream,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use super::{
    process::Process,
    servers::{Postgres, as_postgres, folder, free_port, open_to_all, program, unique},
};

pub struct PgBouncer {
    port: u16,
    _process: Process,
}

impl PgBouncer {
    /// The one that all tests share when `RAPPORT_TEST_POOLER` is set: any test of the production stack can be run through it.
    pub fn shared() -> Option<Arc<PgBouncer>> {
        static SHARED: OnceLock<Option<Arc<PgBouncer>>> = OnceLock::new();
        let start = || {
            std::env::var_os("RAPPORT_TEST_POOLER")
                .map(|_| Arc::new(PgBouncer::start(Postgres::shared().port, 4)))
        };
        SHARED.get_or_init(start).clone()
    }

    /// Lends so many sessions of each database of the server at this port, each for one transaction.
    pub fn start(server: u16, sessions: u32) -> Self {
        let dir = folder().join(unique("pgbouncer"));
        std::fs::create_dir_all(&dir).unwrap();
        open_to_all(&dir);
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {0}/users\npool_mode = transaction\ndefault_pool_size = {sessions}\nserver_idle_timeout = 2\n",
            dir.display()
        );
        std::fs::write(dir.join("pgbouncer.ini"), settings).unwrap();
        std::fs::write(dir.join("users"), "\"postgres\" \"\"\n").unwrap();
        let program = program("pgbouncer");
        let process = Process::start_by(as_postgres(), "pgbouncer", &program, &dir.join("log"), |command| {
            command.arg(dir.join("pgbouncer.ini"));
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "pgbouncer does not answer:\n{}", process.output());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { port, _process: process }
    }

    /// The same database, through it.
    pub fn url(&self, direct: &str) -> String {
        let name = direct.rsplit('/').next().unwrap();
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}
