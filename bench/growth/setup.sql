-- What the fills copy from: texts with the words and vectors that the product made of them, of the accounts `texts-1`, `texts-2`, …
-- Each of those has fewer than 256 messages, so that all of their words still stand in message_words.
create schema growth;

-- Everything filled in is younger than this.
select format('create function growth.start() returns timestamptz language sql immutable as $f$ select %L::timestamptz $f$',
    now() - interval '60 days') \gexec

create function growth.v7(at timestamptz, seed text) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(seed), 1, 3) || '8'
        || substr(md5(seed), 4, 15))::uuid $$;

-- A number from 0 to `below - 1` that follows from a text.
create function growth.pick(seed text, below bigint) returns bigint language sql immutable as $$
    select (hashtext(seed) & 2147483647) % below $$;

-- The n-th thing of a kind that an account has, spread over 59 days.
create function growth.at(n bigint) returns timestamptz language sql immutable as $$
    select growth.start() + (n * 7919 % 84960) * interval '1 minute' $$;
create function growth.thing(owner uuid, kind text, n bigint) returns uuid language sql immutable as $$
    select growth.v7(growth.at(n), kind || n || owner) $$;

create table growth.turns as
    select row_number() over (order by m.id) as n, m.content, w.length, w.bag, v.vector, v.model
    from messages m join message_words w on w.doc_id = m.id join message_vectors v on v.doc_id = m.id;
create table growth.facts as
    select row_number() over (order by m.id) as n, m.id, m.content, v.vector, v.model
    from memories m join memory_vectors v on v.doc_id = m.id;
create table growth.fact_terms as select f.n, t.term, t.tf, t.length from memory_terms t join growth.facts f on f.id = t.doc_id;
create table growth.passages as
    select row_number() over (order by c.n) as n, c.id, c.content, c.start, v.vector, v.model
    from chunks c join chunk_vectors v on v.doc_id = c.id;
create table growth.passage_terms as
    select p.n, t.term, t.tf, t.length from chunk_terms t join growth.passages p on p.id = t.doc_id;
create unique index on growth.turns (n);
create unique index on growth.facts (n);
create index on growth.fact_terms (n);
create unique index on growth.passages (n);
create index on growth.passage_terms (n);

-- Sessions to be filled up to a message, and accounts with what else they are to get: from the first number (without it) to the second.
create unlogged table growth.todo (session_id uuid, user_id uuid, at timestamptz, after bigint, upto bigint, with_vectors boolean);
create unlogged table growth.want (user_id uuid, name text, m0 bigint, m1 bigint, f0 bigint, f1 bigint, r0 bigint, r1 bigint);
create unlogged table growth.lines (session_id uuid, user_id uuid, seq bigint, id uuid, job_id uuid, at timestamptz, n bigint,
    with_vectors boolean);
analyze;
