//! What is wrong with a field, as it is sent: a word for programs, the values of the sentence, and the sentence itself.
//!
//! A user interface writes the sentence in its reader's language from the word and the values; the English one is for those
//! who have no such words.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::Wrong;

macro_rules! field_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:tt;)*) => {
        /// A stable name for what is wrong with a field. Clients may switch on it; there may be more of them one day.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
        pub enum FieldCode {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)*
            /// None of these: there is only the sentence.
            #[default]
            #[serde(rename = "other")]
            Other,
        }

        impl FieldCode {
            pub const ALL: &'static [FieldCode] = &[$(FieldCode::$variant,)* FieldCode::Other];

            pub fn as_str(self) -> &'static str {
                match self { $(FieldCode::$variant => $name,)* FieldCode::Other => "other" }
            }
            /// When it is given and with which `params`, for docs/errors.md.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(FieldCode::$variant => concat!($($doc),+),)*
                    FieldCode::Other => " None of these: there is only the sentence.",
                }
            }
        }
    };
}

field_codes! {
    /// It is missing.
    Required = "required";
    /// There is nothing in it.
    Empty = "empty";
    /// It is in the body more than once.
    GivenTwice = "given_twice";
    /// There is no such field. `meant` is the one that was probably meant, or else `values` the ones there are.
    UnknownField = "unknown_field";
    /// Not a text.
    NotText = "not_text";
    /// Not `true` or `false`.
    NotBoolean = "not_boolean";
    /// Not a number.
    NotNumber = "not_number";
    /// Not a whole number; not below `min`, if that is there.
    NotWholeNumber = "not_whole_number";
    /// Not a list.
    NotList = "not_list";
    /// Not an object.
    NotObject = "not_object";
    /// Not a date and time like `example`.
    NotDate = "not_date";
    /// Not an id, which begins with `prefix`.
    NotId = "not_id";
    /// Of another form than it must have.
    WrongForm = "wrong_form";
    /// Fewer than `min` characters.
    TooShort = "too_short";
    /// More than `max` characters (it has `length`), or a NUL in it.
    TooLong = "too_long";
    /// More than `max` bytes, or a NUL in it.
    TooManyBytes = "too_many_bytes";
    /// Not `min` to `max` characters, or a NUL in it.
    WrongLength = "wrong_length";
    /// Not `min` to `max` characters, or a line break, a tab or another control character in it.
    NotOneLine = "not_one_line";
    /// Not `min` to `max` visible ASCII characters.
    NotAscii = "not_ascii";
    /// A NUL in it.
    HasNul = "has_nul";
    /// No word in it.
    NoWord = "no_word";
    /// A number that is not from `min` to `max`.
    OutOfRange = "out_of_range";
    /// A list that does not have `min` to `max` members, each once.
    WrongCount = "wrong_count";
    /// A list of more than `max` members.
    TooMany = "too_many";
    /// Not at most `max` words or phrases of up to `bytes` bytes each.
    WrongPhrases = "wrong_phrases";
    /// A list of names of which one is not `min` to `max` characters, or has a control character in it.
    WrongNames = "wrong_names";
    /// Not one of `values`.
    NotOneOf = "not_one_of";
    /// A list that is empty, or has something in it that is not one of `values`.
    NotSomeOf = "not_some_of";
    /// Not a mail address.
    NotEmail = "not_email";
    /// Not a username: `min` to `max` letters of one script, digits, `_`, `.` or `-`.
    NotUsername = "not_username";
    /// A password without an upper-case letter.
    NoUpperCase = "no_upper_case";
    /// A password without a lower-case letter.
    NoLowerCase = "no_lower_case";
    /// A password without a digit.
    NoDigit = "no_digit";
    /// One of the most common passwords.
    CommonPassword = "common_password";
    /// Neither this nor `other` is there.
    ThisOrOther = "this_or_other";
    /// Not exactly one of this and `other` is there.
    OnlyOneOf = "only_one_of";
    /// It cannot be there together with `other`.
    NotTogether = "not_together";
    /// A time that is not in the future.
    NotFuture = "not_future";
    /// A time before that of `other`.
    TooEarly = "too_early";
    /// An address that nothing is sent to: not http or https, or not on the public internet.
    UrlRefused = "url_refused";
    /// `provider` is not set up here; `values` are.
    NoProvider = "no_provider";
    /// `provider` is not set up here, and the project has no key for it; `values` are.
    NoProviderKey = "no_provider_key";
    /// There is no `model`; there are `values`.
    NoModel = "no_model";
    /// `tool` is not configured here.
    NoTool = "no_tool";
    /// A template that is wrong at `line` and `column`: `problem` says why, in English.
    WrongTemplate = "wrong_template";
    /// Variables with names that are not ASCII letters, digits and `_`.
    VariableNames = "variable_names";
    /// A CSV file without a first line of column names, one of which is `column`.
    NoColumns = "no_columns";
    /// More than the model reads: about `tokens`, of `max` at most.
    ContextLength = "context_length";
    /// It does not go with what it is for, or with the other fields.
    Unfit = "unfit";
}

/// A word of a newer or an older version, in what a job has kept, is no reason to lose the sentence.
impl<'de> Deserialize<'de> for FieldCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(FieldCode::ALL.iter().copied().find(|code| code.as_str() == name).unwrap_or_default())
    }
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    #[schema(example = "temperature")]
    pub field: String,
    /// Completes the sentence "`field` …".
    #[schema(example = "must be from 0 to 2")]
    pub message: String,
    /// Stable: programs may switch on it. docs/errors.md lists all.
    #[serde(default)]
    #[schema(required = true)]
    pub code: FieldCode,
    /// The values in the sentence: numbers and texts by their names. Left out where there are none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, required = false)]
    pub params: Map<String, Value>,
}

impl FieldError {
    pub fn new(field: impl Into<String>, wrong: Wrong) -> Self {
        let (code, params, message) = wrong.told();
        let params = params.as_object().cloned().unwrap_or_default();
        Self { field: field.into(), message, code, params }
    }
}
