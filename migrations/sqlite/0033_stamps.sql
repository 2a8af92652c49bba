-- Each search reads the stamps of all parts: without the parts' own pages, which hold some kilobytes each.
create index message_word_parts_stamps on message_word_parts (user_id, part, stamp);
