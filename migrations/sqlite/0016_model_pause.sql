-- The longest silence between two words of a model's answers, lately; null: not known.
alter table model_pace add column pause_ms bigint;
