//! The one error of the service: a stable code, a sentence for a person, and a private cause.
//!
//! `detail` goes to the client and never holds anything internal; `source` is logged once, at the edge, and never
//! sent. `Code::ALL` is the table behind docs/errors.md.

#[cfg(test)]
mod tests;

use std::fmt;

use crate::domain::ids::JobId;

pub use crate::wrong::{FieldCode, FieldError, Wrong};

pub type Result<T, E = Error> = std::result::Result<T, E>;
type Source = Box<dyn std::error::Error + Send + Sync>;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $status:literal $name:literal $title:literal;)*) => {
        /// A stable name for what went wrong. Clients may switch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $variant,)* }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            pub fn as_str(self) -> &'static str { match self { $(Code::$variant => $name),* } }
            pub fn status(self) -> u16 { match self { $(Code::$variant => $status),* } }
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title),* } }
            /// When it is given, for docs/errors.md.
            pub fn meaning(self) -> &'static str { match self { $(Code::$variant => concat!($($doc),+)),* } }
        }
    };
}

codes! {
    /// The request could not be read: not JSON, not UTF-8, a broken header.
    Malformed = 400 "malformed_request" "Malformed request";
    /// `limit`, `skip`, `cursor`, `page` or another query parameter is not what it must be.
    BadQuery = 400 "invalid_query" "Invalid query parameter";
    /// No access token, or one that is not valid any more.
    Unauthorized = 401 "unauthorized" "Not signed in";
    /// Unknown account or wrong password: the answer is the same.
    BadCredentials = 401 "invalid_credentials" "Sign-in failed";
    /// The code of a mail is wrong, used, or too old.
    BadCode = 400 "invalid_code" "Invalid code";
    /// The current password, asked for again, is wrong.
    WrongPassword = 403 "wrong_password" "Wrong password";
    /// The API key's scopes do not include this, or it needs a sign-in with a password.
    KeyForbidden = 403 "key_not_allowed" "Not allowed with this key";
    /// The refresh token is unknown, expired, or was used before (then its whole family is revoked).
    BadRefreshToken = 401 "invalid_refresh_token" "Sign-in expired";
    /// Signed in, but not allowed.
    Forbidden = 403 "forbidden" "Not allowed";
    /// There is no such thing, or it is another user's.
    NotFound = 404 "not_found" "Not found";
    /// The path exists, but not with this method.
    MethodNotAllowed = 405 "method_not_allowed" "Method not allowed";
    /// OAuth: the request lacks something, or says it in another way than the standard.
    OAuthRequest = 400 "invalid_request" "Invalid OAuth request";
    /// OAuth: the client is not one that registered here.
    OAuthClient = 400 "invalid_client" "Unknown client";
    /// OAuth: the code or refresh token is unknown, used, too old, or another client's.
    OAuthGrant = 400 "invalid_grant" "Invalid grant";
    /// OAuth: only `authorization_code` and `refresh_token` are taken.
    OAuthGrantType = 400 "unsupported_grant_type" "Unsupported grant type";
    /// OAuth: only `code` is given.
    OAuthResponseType = 400 "unsupported_response_type" "Unsupported response type";
    /// OAuth: none of the scopes is given to clients, or more was asked for than was given.
    OAuthScope = 400 "invalid_scope" "Invalid scope";
    /// OAuth: tokens are given for `/mcp` of this service and nothing else.
    OAuthTarget = 400 "invalid_target" "Invalid target";
    /// OAuth: an address that codes may be sent to must be https, this machine's, or a program's own scheme.
    OAuthRedirect = 400 "invalid_redirect_uri" "Invalid redirect address";
    /// OAuth: what the client says of itself is not what it must be.
    OAuthMetadata = 400 "invalid_client_metadata" "Invalid client metadata";
    /// Something with this name exists already.
    Conflict = 409 "conflict" "Conflict";
    /// An account with this email or username exists already.
    Taken = 409 "already_taken" "Already taken";
    /// The first request with this `Idempotency-Key` is still running.
    IdempotencyRunning = 409 "idempotency_in_progress" "Still in progress";
    /// The session is answering another message and `on_busy` is `reject`.
    SessionBusy = 409 "session_busy" "Session busy";
    /// The job's state does not allow this.
    WrongState = 409 "wrong_state" "Wrong state";
    /// The body is larger than this route takes.
    TooLarge = 413 "body_too_large" "Body too large";
    /// There is no room for this file beside the user's others.
    QuotaSpent = 413 "quota_exceeded" "Quota exceeded";
    /// A file's text could not be taken out of it: `detail` says why.
    FileUnreadable = 422 "file_unreadable" "File unreadable";
    /// The range of bytes that was asked for is not in the file.
    BadRange = 416 "range_not_satisfiable" "Range not satisfiable";
    /// The body's `Content-Type` is not one this route takes.
    UnsupportedMediaType = 415 "unsupported_media_type" "Unsupported media type";
    /// The request was read, but a field is not known, or its value is not allowed; see `errors`.
    Invalid = 422 "validation_failed" "Validation failed";
    /// An MCP server that the request names did not list its tools.
    ToolServerFailed = 424 "tool_server_failed" "Tool server failed";
    /// This `Idempotency-Key` was used with another body.
    IdempotencyMismatch = 422 "idempotency_mismatch" "Idempotency key reused";
    /// The provider refused the request for good: retrying cannot help.
    ProviderRefused = 502 "provider_refused" "Provider refused the request";
    /// More requests than the limit allows; see `Retry-After`.
    RateLimited = 429 "rate_limited" "Too many requests";
    /// A fault of ours. The `request_id` finds it in the logs.
    Internal = 500 "internal_error" "Internal error";
    /// A job failed in a way that is neither the request's nor a provider's fault.
    JobFailed = 500 "job_failed" "Job failed";
    /// The job's process died each time it ran.
    JobCrashed = 500 "job_crashed" "Job crashed";
    /// The model's answer about a conversation or about memories could not be read; the job keeps what it said.
    ExtractionFailed = 502 "extraction_failed" "Extraction failed";
    /// The model provider failed.
    ProviderFailed = 502 "provider_failed" "Provider failed";
    /// The model provider limits our rate.
    ProviderRateLimited = 502 "provider_rate_limited" "Provider rate limit";
    /// The model provider does not accept our key or has no such model.
    ProviderMisconfigured = 502 "provider_misconfigured" "Provider misconfigured";
    /// The queue is full: the service refuses work it could not do in time.
    Overloaded = 503 "overloaded" "Overloaded";
    /// The model provider has failed repeatedly and is not asked for a moment.
    ProviderUnavailable = 503 "provider_unavailable" "Provider unavailable";
    /// The day's budget of tokens or cost is spent.
    BudgetSpent = 429 "budget_spent" "Budget spent";
    /// The disk is full, ours or the database's: nothing can be stored until there is room. Reading goes on.
    StorageFull = 507 "storage_full" "Storage full";
    /// The database, or another thing we need, is not reachable now.
    Unavailable = 503 "unavailable" "Unavailable";
    /// The model provider did not answer in time.
    ProviderTimeout = 504 "provider_timeout" "Provider timed out";
}

impl Code {
    /// Whether what failed so may work when it is tried again.
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Code::Unavailable
                | Code::StorageFull
                | Code::Overloaded
                | Code::JobCrashed
                | Code::ToolServerFailed
                | Code::ProviderFailed
                | Code::ProviderRateLimited
                | Code::ProviderUnavailable
                | Code::ProviderTimeout
        )
    }

    pub fn from_name(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

#[derive(Debug)]
pub struct Error {
    pub code: Code,
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u64>,
    /// The job that was accepted and then failed so: sending the request again would do it twice.
    pub job: Option<JobId>,
    source: Option<Source>,
}

impl Error {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after: None, job: None, source: None }
    }

    /// There is no such `what`, or it is somebody else's.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }

    /// One field is not what it must be.
    pub fn field(field: &str, wrong: Wrong) -> Self {
        Self::fields(vec![FieldError::new(field, wrong)])
    }

    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail: Vec<_> =
            errors.iter().map(|error| format!("`{}` {}", error.field, error.message)).collect();
        Self { errors, ..Self::new(Code::Invalid, detail.join("; ") + ".") }
    }

    pub fn internal(source: impl Into<Source>) -> Self {
        Self::new(Code::Internal, "Something went wrong on our side. The request id finds it in our logs.")
            .because(source)
    }

    pub fn unavailable(what: &str, source: impl Into<Source>) -> Self {
        Self::new(Code::Unavailable, format!("The {what} is not reachable now. Try again shortly."))
            .because(source)
            .retry_after(2)
    }

    /// Whether the same may work in a moment: the database is away, full, or chose another of two transactions.
    pub fn may_pass(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::StorageFull)
    }

    /// The failure of something that was accepted, as its sender is told.
    pub fn of_accepted(mut self, job: JobId) -> Self {
        self.detail = format!(
            "{} The message was accepted as {job}; to try again, retry that job (POST /api/v1/jobs/{job}/retry) or send the \
             same request with the same Idempotency-Key.",
            self.detail
        );
        // A client that obeyed it would send the message once more. A spent budget stays spent: it says until when.
        if self.code.status() >= 500 {
            self.retry_after = None;
        }
        self.job = Some(job);
        self
    }

    /// What keeps us from telling what became of something that was accepted.
    pub fn while_waiting_for(mut self, job: JobId) -> Self {
        self.detail = format!(
            "The message was accepted as {job}, but what became of it cannot be read now: ask GET /api/v1/jobs/{job}."
        );
        self.job = Some(job);
        self
    }

    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The problem as JSON (RFC 9457), as jobs keep it and `error` events carry it.
    pub fn problem(&self, request_id: Option<&str>) -> serde_json::Value {
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": self.code.title(),
            "status": self.code.status(),
            "detail": self.detail,
            "code": self.code.as_str(),
            "request_id": request_id,
        });
        if !self.errors.is_empty() {
            problem["errors"] = serde_json::json!(self.errors);
        }
        if let Some(job) = self.job {
            problem["job_id"] = serde_json::json!(job);
        }
        // For what is told later than it happened, when headers are gone: a job's error, an event.
        if let Some(seconds) = self.retry_after {
            problem["retry_after"] = seconds.into();
        }
        problem
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// Whether the database had no room to write.
pub fn storage_is_full(error: &sqlx::Error) -> bool {
    // PostgreSQL's disk_full; SQLite's SQLITE_FULL, or a write that failed for lack of room (SQLITE_IOERR_WRITE and
    // SQLITE_IOERR_SHMSIZE are how a full disk shows beside the file itself).
    let sqlx::Error::Database(error) = error else { return false };
    let code = error.code();
    let is = |wanted: &str| code.as_deref() == Some(wanted);
    // A new connection to PostgreSQL wants to write down what it learned of the tables; it says neither why it cannot, nor
    // in another language.
    let cannot_begin = is("XX000") && error.message().starts_with("could not write init file");
    ["53100", "13", "778", "4874"].into_iter().any(is) || cannot_begin
}

/// Whether the database itself was out of reach, as opposed to refusing a statement.
pub fn database_is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        // Shutdown, crash recovery, start-up, lost connection, too many clients, read-only standby.
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            // Ended for being idle in a transaction (25P03); ended by a deadline of ours (57014).
            code.starts_with("57")
                || code.starts_with("08")
                || matches!(code.as_ref(), "53300" | "25006" | "25P03")
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let what_it_belongs_to_is_gone =
            matches!(&error, sqlx::Error::Database(error) if error.is_foreign_key_violation());
        // PostgreSQL ends one of two transactions that wait for each other, or that cannot be put in an order; trying it
        // again is safe, and helps.
        let lost_to_another = matches!(&error, sqlx::Error::Database(error)
            if matches!(error.code().as_deref(), Some("40P01" | "40001" | "55P03")));
        if storage_is_full(&error) {
            let text = "The disk is full: nothing was stored. It goes on by itself when there is room again.";
            Error::new(Code::StorageFull, text).because(error).retry_after(5)
        } else if lost_to_another || database_is_away(&error) {
            Error::unavailable("database", error)
        } else if what_it_belongs_to_is_gone {
            // Deleted by somebody else in this very moment.
            Error::new(Code::NotFound, "What this belongs to has just been deleted.").because(error)
        } else {
            Error::internal(error)
        }
    }
}
