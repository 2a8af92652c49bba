-- The indexes of this step are made after the migrations, without keeping writers out: common/src/store/db/indexes.rs.
select 1;
