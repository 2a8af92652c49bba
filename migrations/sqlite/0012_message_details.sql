-- What an answer was made with: why it ended, which memories stood in its prompt (by id), which tools were called.
alter table messages add column details text;
alter table message_variants add column details text;
