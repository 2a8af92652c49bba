-- MCP clients that a user let in by clicking. Each is an API key of the user's whose text nobody has, with what it was given for;
-- its tokens are beside it, and go with it. Clients themselves are not kept: docs/decisions/0027-mcp-sign-in.md.
create table oauth_grants (
    key_id        blob primary key references api_keys (id) on delete cascade,
    user_id       blob not null references users (id) on delete cascade,
    -- The digest of the client's id.
    client        blob not null,
    redirect_uri  text not null,
    -- What the client must know the origin of, to trade its code (RFC 7636).
    challenge     blob not null,
    -- What its tokens are good for (RFC 8707).
    resource      text not null,
    created_at    text not null
) strict;
create index oauth_grants_user on oauth_grants (user_id);
create table oauth_tokens (
    token_hash  blob primary key,
    key_id      blob not null references oauth_grants (key_id) on delete cascade,
    kind        text not null check (kind in ('code', 'access', 'refresh')),
    expires_at  text not null,
    used_at     text
) strict;
create index oauth_tokens_key on oauth_tokens (key_id, expires_at);
