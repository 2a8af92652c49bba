// What is wrong with a field, by the API's codes (docs/errors.md), to stand below it or after its name. In English the API's own sentence is shown;
// these are what other languages translate.
export const wrong = {
  'wrong.required': 'is required', 'wrong.empty': 'must not be empty', 'wrong.given_twice': 'is given more than once', 'wrong.unknown_field': 'is not known',
  'wrong.not_text': 'must be text', 'wrong.not_boolean': 'must be true or false', 'wrong.not_number': 'must be a number', 'wrong.not_whole_number': 'must be a whole number',
  'wrong.not_list': 'must be a list', 'wrong.not_object': 'must be an object', 'wrong.not_date': 'must be a date and time like {example}', 'wrong.not_id': 'is not a {prefix} id',
  'wrong.wrong_form': 'is not what it must be', 'wrong.too_short': 'must have at least {min} characters', 'wrong.too_long': 'must be at most {max} characters',
  'wrong.too_many_bytes': 'must be at most {max} bytes', 'wrong.wrong_length': 'must be {min} to {max} characters, without NUL',
  'wrong.not_one_line': 'must be {min} to {max} characters, without control characters', 'wrong.not_ascii': 'must be {min} to {max} visible ASCII characters',
  'wrong.has_nul': 'must not contain a NUL character', 'wrong.no_word': 'must have at least one word', 'wrong.out_of_range': 'must be from {min} to {max}',
  'wrong.wrong_count': 'must be {min} to {max}', 'wrong.too_many': 'must be at most {max}', 'wrong.wrong_phrases': 'must be at most {max} words or phrases of up to {bytes} bytes',
  'wrong.wrong_names': 'must be names of {min} to {max} characters', 'wrong.not_one_of': 'must be one of {values}', 'wrong.not_some_of': 'must be some of {values}',
  'wrong.not_email': 'is not a valid address', 'wrong.not_username': 'must be {min} to {max} letters of one script, digits, “_”, “.” or “-”',
  'wrong.no_upper_case': 'must contain an upper-case letter', 'wrong.no_lower_case': 'must contain a lower-case letter', 'wrong.no_digit': 'must contain a digit',
  'wrong.common_password': 'is one of the most common passwords: choose another', 'wrong.this_or_other': 'or “{other}” must be given',
  'wrong.only_one_of': 'or “{other}” must be given, and not both', 'wrong.not_together': 'cannot be given together with “{other}”', 'wrong.not_future': 'must be in the future',
  'wrong.too_early': 'must not be before “{other}”', 'wrong.url_refused': 'must be http or https on the public internet, without a name or password in it',
  'wrong.no_provider': '{provider} is not set up here; there are {values}',
  'wrong.no_provider_key': '{provider} is not set up here; there are {values}. Give the project a key for it first, or choose another',
  'wrong.no_model': 'there is no {model} here; there are {values}', 'wrong.no_tool': 'names {tool}, which is not set up here',
  'wrong.wrong_template': 'line {line}, column {column}: {problem}', 'wrong.variable_names': 'must have names of ASCII letters, digits and “_”',
  'wrong.no_columns': 'must begin with a line of column names, one of which is “{column}”', 'wrong.context_length': 'is about {tokens} tokens, and the model reads {max} at most',
  'wrong.unfit': 'does not fit here', 'problem.field': '“{field}” {message}.',
};
