-- What a username looks like (UTS 39's skeleton), to find names that look alike. Here of plain names; the others are filled
-- in when somebody registers (usecase/look_alike.rs).
alter table users add column username_skeleton text;
update users set username_skeleton = replace(replace(replace(username, 'm', 'rn'), '1', 'l'), '0', 'O')
    where username not glob '*[^a-z0-9_.-]*';
create index users_skeleton on users (username_skeleton) where username_skeleton is not null;
create index users_without_skeleton on users (id) where username is not null and username_skeleton is null;
