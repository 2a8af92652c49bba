//! What is written reads back, with another value in each column: two binds in the wrong order would show.

use chrono::{DateTime, TimeDelta, Utc};
use rapport_common::{
    clock,
    domain::{
        ids::{MemoryId, MessageId, ProjectId, SessionId, UserId},
        memory::{Memory, MemoryStatus, MemoryType, RunOutcome},
        message::{Details, Message, MessageStatus, Role, Usage},
    },
    jobs::payload::ProbePayload,
    store::{
        Tx,
        extraction::{self, Run},
        jobs::{self, NewJob},
        memories,
        messages::{self, NewMessage},
        projects::{self, Project},
        sessions,
        users::{self, NewUser},
    },
};

use super::sql::{postgres, sqlite};

/// An account with a session.
async fn account(tx: &mut Tx, now: DateTime<Utc>) -> (UserId, SessionId) {
    let (user, session) = (UserId::new(), SessionId::new());
    let new = NewUser {
        id: user,
        email: Some("ann@example.org".to_owned()),
        username: None,
        name: Some("Ann".to_owned()),
        password_hash: String::new(),
        created_at: now,
    };
    users::insert(tx, &new).await.unwrap();
    let new = sessions::NewSession { id: session, title: "A title", title_source: "user", project: None };
    sessions::insert(tx, user, new, now).await.unwrap();
    (user, session)
}

fn question(user: UserId, session: SessionId, now: DateTime<Utc>) -> NewMessage<'static> {
    NewMessage {
        id: MessageId::new(),
        session,
        user,
        job: None,
        seq: 7,
        role: Role::User,
        content: "the content",
        status: MessageStatus::Complete,
        provider: Some("the provider"),
        model: Some("the model"),
        usage: Some(Usage::new(3, 4)),
        name: Some("the name"),
        remember: true,
        details: None,
        created_at: now,
    }
}

fn memory(user: UserId, now: DateTime<Utc>, at: impl Fn(i64) -> Option<DateTime<Utc>>) -> Memory {
    Memory {
        norm: "the norm".to_owned(),
        subject: Some("the subject".to_owned()),
        slot: Some("the slot".to_owned()),
        object: Some("the object".to_owned()),
        importance: 0.25,
        confidence: 0.75,
        explicit: false,
        sensitive: true,
        support: 5,
        valid_from: at(1),
        valid_to: at(2),
        contexts: vec!["work".to_owned()],
        quote: Some("the quote".to_owned()),
        extractor_version: Some("the version".to_owned()),
        extracted_at: at(3),
        expires_at: at(4),
        access_count: 6,
        last_accessed: at(5),
        verified_at: at(6),
        feedback: Some("the feedback".to_owned()),
        updated_at: now + TimeDelta::seconds(7),
        ..Memory::new(user, "the content", MemoryType::Goal, MemoryStatus::Confirmed, now)
    }
}

#[tokio::test]
async fn what_is_written_reads_back() {
    for db in [postgres().await, sqlite().await] {
        let now = clock::now();
        let at = |seconds: i64| Some(now + TimeDelta::seconds(seconds));
        let mut tx = db.begin().await.unwrap();
        let (user, session) = account(&mut tx, now).await;

        let new = question(user, session, now);
        let message = new.id;
        messages::insert(&mut tx, new).await.unwrap();
        let expected = Message {
            id: message,
            role: Role::User,
            content: "the content".to_owned(),
            model: Some("the model".to_owned()),
            provider: Some("the provider".to_owned()),
            usage: Some(Usage::new(3, 4)),
            job_id: None,
            status: MessageStatus::Complete,
            feedback: None,
            variants: 0,
            details: Details::default(),
            created_at: now,
        };
        let (found, last) = messages::page(&mut tx, user, session, 0, 10, 0).await.unwrap();
        assert_eq!((format!("{found:?}"), last), (format!("{:?}", [expected]), Some(7)));

        let first = Memory { norm: "another norm".to_owned(), ..memory(user, now, at) };
        memories::insert(&mut tx, &first).await.unwrap();
        let mut second = Memory {
            id: MemoryId::new(),
            session_id: Some(session),
            message_id: Some(message),
            merged_into: Some(first.id),
            ..memory(user, now, at)
        };
        memories::insert(&mut tx, &second).await.unwrap();
        assert_eq!(memories::get(&mut tx, user, second.id).await.unwrap(), Some(second.clone()));
        (second.content, second.norm) = ("other content".to_owned(), "other norm".to_owned());
        (second.subject, second.slot, second.object) = (None, Some("slot".to_owned()), None);
        (second.importance, second.confidence, second.support) = (0.5, 0.125, 9);
        (second.explicit, second.sensitive, second.is_private) = (true, false, true);
        (second.valid_from, second.valid_to, second.expires_at) = (at(11), at(12), at(13));
        (second.verified_at, second.updated_at) = (at(14), now + TimeDelta::seconds(15));
        (second.memory_type, second.status) = (MemoryType::Fact, MemoryStatus::Merged);
        (second.contexts, second.feedback, second.merged_into) = (Vec::new(), None, None);
        assert!(memories::update(&mut tx, &second).await.unwrap());
        assert_eq!(memories::get(&mut tx, user, second.id).await.unwrap(), Some(second));

        let job = NewJob::new(&ProbePayload::default(), 3).unwrap();
        let job_id = job.id;
        jobs::enqueue(&mut tx, job).await.unwrap();
        let run = Run {
            session_id: session,
            from_seq: 1,
            to_seq: 2,
            extractor_version: "the version".to_owned(),
            outcome: RunOutcome::Facts,
            facts: 3,
            created: 4,
            blocked: 5,
            unsupported: 6,
            provider: Some("the provider".to_owned()),
            model: Some("the model".to_owned()),
            usage: Some(Usage::new(7, 8)),
            cost: Some(0.5),
            raw: Some("what it said".to_owned()),
            created_at: now,
        };
        extraction::insert_run(&mut tx, user, job_id, &run).await.unwrap();
        let runs = extraction::runs(&mut tx, user, 10, 0).await.unwrap();
        assert_eq!(format!("{runs:?}"), format!("{:?}", [run]));

        let mut project = Project {
            id: ProjectId::new(),
            name: "the name".to_owned(),
            description: "the description".to_owned(),
            default_provider: Some("the provider".to_owned()),
            default_model: Some("the model".to_owned()),
            temperature: Some(0.5),
            fallback: true,
            created_at: now,
            updated_at: now,
        };
        projects::insert(&mut tx, user, &project).await.unwrap();
        for _ in 0..2 {
            let found = projects::get(&mut tx, user, project.id).await.unwrap().unwrap();
            assert_eq!(format!("{found:?}"), format!("{project:?}"));
            (project.name, project.description) = (project.description, project.name);
            (project.default_provider, project.default_model) = (None, Some("another".to_owned()));
            (project.temperature, project.fallback) = (Some(1.5), false);
            project.updated_at = now + TimeDelta::seconds(1);
            projects::update(&mut tx, user, &project).await.unwrap();
        }
    }
}
