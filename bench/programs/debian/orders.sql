-- A database in memory: filled, indexed, joined, changed, thinned out.
create table customer (id integer primary key, name text, city text);
create table purchase (id integer primary key, customer integer, amount real, note text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
insert into customer
select i, 'customer ' || (i * 7919 % 100003), 'city ' || (i * 31 % 997) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 400000)
insert into purchase
select i, i * 104729 % 20000 + 1, i % 1000 / 7.0, 'note ' || i || substr('xxxxxxxxxxxxxxxxxxxxxxxxx', 1, i % 25)
from n;
create index purchase_customer on purchase (customer);
create index purchase_note on purchase (note);
select count(*), sum(total), max(notes) from (
  select city, sum(amount) as total, max(length(note)) as notes
  from purchase join customer on customer.id = purchase.customer group by city order by total desc);
update purchase set note = note || ' seen' where id % 5 = 0;
delete from purchase where id % 3 <> 0;
select count(*), max(names) from (
  select customer, length(group_concat(note, ';')) as names from purchase group by customer);
