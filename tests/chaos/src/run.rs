//! The whole run: start, warm up, one fault after another until the time is over, tell.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    check::{Violation, database::Reader, deadlocks::Deadlocks, processes::Logs},
    clients::{Web, World, socket},
    fleet,
    nemeses::{self, ALL, Group, Nemesis, Scene},
    round::Rounds,
    settings::{Settings, Stack},
    table::{self, Row},
    topology::{self, Topology},
};

/// What a round takes besides its fault.
const AROUND: u64 = 14;
/// Histories shown of one kind of violation in one round.
const SHOWN: usize = 3;
/// Of each history: its beginning and its end.
const LINES: usize = 30;

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown", |(_, model)| model);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kb: u64 = memory.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0);
    format!("{cores} × {model}, {} GB", kb / 1_000_000)
}

/// The binary to break: the one that was named, or what is there now, built.
fn binary(settings: &Settings) -> Result<PathBuf, String> {
    if let Some(bin) = &settings.bin {
        return std::fs::canonicalize(bin).map_err(|error| format!("{}: {error}", bin.display()));
    }
    // target/<profile>/chaos → target/<profile>/rapport
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = here.parent().ok_or("the driver has no folder")?;
    let target = folder.parent().ok_or("the driver has no folder")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new("cargo");
    // What cargo tells a program that it runs is not meant for a build.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| told.starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "rapport",
            "--bin",
            "qdrant-stand-in",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .map_err(|error| error.to_string())?;
    if !built.success() {
        return Err("rapport cannot be built".to_owned());
    }
    Ok(folder.join("rapport"))
}

fn wanted(settings: &Settings, bin: &Path) -> Result<Vec<Nemesis>, String> {
    if settings.quick {
        return Ok(nemeses::quick(settings.stack));
    }
    for name in &settings.only {
        if !ALL.iter().any(|nemesis| nemesis.name == name) {
            return Err(format!("{name} is no fault that is known; --list shows them"));
        }
    }
    let fits = |nemesis: &&Nemesis| nemesis.stack.is_none_or(|stack| stack == settings.stack);
    let chosen = |nemesis: &&Nemesis| {
        settings.only.is_empty() || settings.only.iter().any(|name| name == nemesis.name)
    };
    let mut wanted: Vec<Nemesis> = ALL.iter().filter(fits).filter(chosen).copied().collect();
    if settings.stack == Stack::Production && topology::stand_in(bin).is_none() {
        println!("chaos: no qdrant-stand-in beside the binary: nothing is done to Qdrant");
        wanted.retain(|nemesis| nemesis.group != Group::Qdrant);
    }
    if wanted.is_empty() { Err("no fault is left to run on this stack".to_owned()) } else { Ok(wanted) }
}

/// Faults in the order of the seed, again and again; several at once, of different groups, when asked for. Or each once.
struct Deck {
    all: Vec<Nemesis>,
    left: Vec<Nemesis>,
    rng: StdRng,
    overlap: bool,
    once: bool,
}

impl Deck {
    fn draw(&mut self, time: Duration) -> Option<Vec<Nemesis>> {
        if self.once {
            return (!self.all.is_empty()).then(|| vec![self.all.remove(0)]);
        }
        let fits = |nemesis: &Nemesis| Duration::from_secs(nemesis.seconds + AROUND) <= time;
        if !self.left.iter().any(fits) {
            self.left = self.all.clone();
            self.left.shuffle(&mut self.rng);
        }
        let mut drawn = vec![self.left.remove(self.left.iter().position(fits)?)];
        let more = if self.overlap { self.rng.random_range(1..3) } else { 0 };
        for _ in 0..more {
            let other =
                |nemesis: &Nemesis| fits(nemesis) && drawn.iter().all(|drawn| drawn.group != nemesis.group);
            if let Some(at) = self.left.iter().position(other) {
                drawn.push(self.left.remove(at));
            }
        }
        Some(drawn)
    }
}

/// Gives the number of violations.
pub async fn run(settings: &Settings) -> Result<usize, String> {
    let start = Instant::now();
    let bin = binary(settings)?;
    let all = wanted(settings, &bin)?;
    let folder = std::env::temp_dir().join(format!("rapport-chaos-{}", std::process::id()));
    let about = format!(
        "chaos: seed {}, stack {}, commit {}, {} ({}), {}",
        settings.seed,
        settings.stack.name(),
        said_by("git", &["rev-parse", "--short", "HEAD"]),
        said_by(&bin.display().to_string(), &["--version"]),
        bin.display(),
        machine()
    );
    println!("{about}\nchaos: logs are in {}", folder.display());
    let (rows, violations) = rounds(settings, all, &bin, &folder, start).await?;
    let kinds = violations.iter().fold(BTreeMap::new(), |mut kinds: BTreeMap<String, usize>, violation| {
        *kinds.entry(violation.kind.to_owned()).or_default() += 1;
        kinds
    });
    let text = table::markdown(&about, &rows, &kinds);
    let last = table::last_lines(&rows, start.elapsed());
    println!("\n{text}\n{last}");
    if let Some(path) = &settings.table {
        std::fs::write(path, format!("{text}\n{last}"))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let messages: usize = rows.iter().map(|row| row.messages).sum();
    let faults = rows.iter().filter(|row| row.fault != table::NONE).count();
    println!("chaos: {faults} faults, {messages} messages, {} violations", violations.len());
    if violations.is_empty() {
        let _gone = std::fs::remove_dir_all(&folder);
    }
    Ok(violations.len())
}

async fn rounds(
    settings: &Settings,
    mut all: Vec<Nemesis>,
    bin: &Path,
    folder: &Path,
    start: Instant,
) -> Result<(Vec<Row>, Vec<Violation>), String> {
    let topology = Arc::new(Topology::start(settings, bin, folder).await?);
    if topology.disk.is_none() {
        println!("chaos: no file system can be mounted here (not root?): no disk fills up");
        all.retain(|nemesis| nemesis.name != "disk_full");
    }
    let mut world = World::new(Web::new(topology.urls())?);
    for number in 0..settings.users() {
        let user = fleet::register(&world, &format!("user{number}")).await?;
        world.users.push(user);
    }
    world.prober = fleet::register(&world, "prober").await?;
    world.socket_keys = socket::knows_keys(&world.web.urls[0], &world.prober.token).await?;
    if !world.socket_keys {
        println!(
            "chaos: `idempotency_key` in a frame is not known; a message over a cut WebSocket is not sent again"
        );
    }
    let world = Arc::new(world);
    let reader = Reader::open(&topology.store().await).await?;
    let log = match &topology.postgres {
        Some(postgres) => Some(postgres.lock().await.log.clone()),
        None => None,
    };
    let deadlocks = Deadlocks::of(log);
    let talking = fleet::talk(&world, settings.seed);
    let scene = Scene { topology, world };
    let mut rounds = Rounds {
        scene,
        reader,
        logs: Logs::default(),
        deadlocks,
        idle: BTreeMap::new(),
        idle_lines: 0.0,
        known_failed: HashSet::new(),
        surplus: 0,
        stuck: HashSet::new(),
    };
    let limit = Duration::from_secs_f64(settings.minutes * 60.0);
    let mut deck = Deck {
        left: Vec::new(),
        all,
        rng: StdRng::seed_from_u64(settings.seed),
        overlap: settings.overlap,
        once: settings.quick,
    };
    let (mut rows, mut violations) = (Vec::new(), Vec::new());
    println!("{}", table::HEAD);
    let mut next = Some(Vec::new());
    let mut seed = settings.seed;
    while let Some(faults) = next {
        seed = seed.wrapping_add(101);
        let (row, found) = rounds.run(&faults, seed).await?;
        println!("{}", row.line());
        show(&found);
        rows.push(row);
        violations.extend(found);
        next = deck.draw(limit.saturating_sub(start.elapsed()));
    }
    drop(talking);
    if !violations.is_empty() {
        rounds.scene.topology.keep().await?;
    }
    Ok((rows, violations))
}

/// The first few of each kind, with their histories.
fn show(found: &[Violation]) {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for violation in found {
        let times = shown.entry(violation.kind).or_default();
        *times += 1;
        if *times > SHOWN {
            continue;
        }
        let about = violation.about.as_deref().unwrap_or_default();
        println!("  !! {} {about}: {}", violation.kind, violation.what);
        let (lines, half) = (&violation.evidence, LINES / 2);
        for (index, line) in lines.iter().enumerate() {
            if index < half || index + half >= lines.len() {
                println!("       {}", line.chars().take(420).collect::<String>());
            } else if index == half {
                println!("       … {} lines …", lines.len().saturating_sub(LINES));
            }
        }
    }
    for (kind, times) in shown {
        if times > SHOWN {
            println!("  !! {kind}: {} more", times - SHOWN);
        }
    }
}
