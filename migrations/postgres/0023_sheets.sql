-- What search knows of the turns of a part without their texts: common/store/src/words/sheets.rs. Parts of before get theirs from the
-- sweep.
alter table message_word_parts add column sheet bytea;
-- Another one whenever the part changes. 0: by a process that knows of no stamps.
alter table message_word_parts add column stamp bigint not null default 0;
create index message_word_parts_bare on message_word_parts (user_id) where sheet is null;
