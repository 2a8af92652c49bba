-- Memories that stand in every prompt, and answers to conflicts that can be undone.

-- What must never be missed: health, allergies, safety, and what the user is called. Told from the slot and the words
-- whenever a memory is written; here roughly, for those that are there.
alter table memories add column essential integer not null default false;
update memories set essential = true where slot in ('allergy', 'health', 'medication', 'intolerance', 'emergency_contact')
    or (slot in ('name', 'nickname') and coalesce(subject, 'user') = 'user')
    or lower(content) like '%allerg%' or lower(content) like '%diabet%' or lower(content) like '%epilep%'
    or lower(content) like '%asthma%';
create index memories_essential on memories (user_id) where essential and status = 'confirmed';

-- The changes made together with the answer: when they are undone, the conflict is open again.
alter table memory_conflicts add column change_set blob;
