-- What cannot be cut yet: the construct and its place, and what to do instead.

-- # Distinct persons at several hospitals
SELECT region, count(DISTINCT patient) AS persons FROM stays GROUP BY region;
-- SQL_UNSUPPORTED at line 1, column 16
-- count(DISTINCT ...) cannot be split over several nodes yet: its values may be at several nodes, and the same one must count once.
-- Hint: Count rows, or group by a site key such as the node; persons at several nodes are counted at each.

-- # A median over persons of several hospitals
SELECT region, median(days) FROM stays GROUP BY region;
-- SQL_UNSUPPORTED at line 1, column 16
-- median(...) cannot be split over several nodes yet: it has no small exact partial result.
-- Hint: Ask one node at a time (WHERE _node = '...').

-- # A join of persons at several hospitals by the person alone
SELECT count(*) FROM stays s JOIN acts a ON a.patient = s.patient;
-- SQL_UNSUPPORTED at line 1, column 35
-- This cannot be answered yet. This join may bring together rows of different nodes: it does not equate a site key.
-- Hint: Add ON s.finess = a.finess AND s.stay = a.stay; or aggregate each side first in a WITH part, and join the groups.

-- # A join of persons of the insurer with those of the hospitals
SELECT s.region, count(*) FROM stays s JOIN insured i ON i.patient = s.patient GROUP BY s.region;
-- SQL_UNSUPPORTED at line 1, column 45
-- This cannot be answered yet. This join may bring together rows of different nodes: it does not equate a site key.
-- Hint: The two sides share no site key. Aggregate each first in a WITH part, and join the groups.

-- # A left join that keeps reference rows
SELECT h.name, count(s.stay) AS n FROM hospitals h LEFT JOIN stays s ON s.finess = h.finess GROUP BY h.name;
-- SQL_UNSUPPORTED at line 1, column 62
-- This cannot be answered yet. This LEFT JOIN keeps rows of a table that every node has: every node would add those that match nothing.
-- Hint: Aggregate the other side first in a WITH part, and join the reference table to its groups; or turn the join round.

-- # A set operation of persons' rows
SELECT count(*) FROM (SELECT patient, region FROM stays UNION SELECT patient, region FROM insured) u;
-- SQL_UNSUPPORTED at line 1, column 30
-- This cannot be answered yet. UNION compares rows of several nodes.
-- Hint: Aggregate first in a WITH part, and do this to the groups; or ask one node (WHERE _node = '...').

-- # A LIMIT below an aggregate of persons
SELECT avg(days) FROM (SELECT days FROM stays LIMIT 10) t;
-- SQL_UNSUPPORTED at line 1, column 53
-- This cannot be answered yet. A LIMIT chooses among rows of several nodes.
-- Hint: Aggregate first in a WITH part, and do this to the groups; or ask one node (WHERE _node = '...').

-- # The same grouping set twice
SELECT region, count(*) FROM stays GROUP BY GROUPING SETS ((region), (region));
-- SQL_UNSUPPORTED at line 1, column 61
-- The same grouping set stands twice, which cannot be split over nodes.
-- Hint: Leave out one of the two.

-- # Too many grouping sets
SELECT count(*) FROM stays GROUP BY CUBE (region, year, sex, urgent, diagnosis, entered, finess, days, _node, region || 'x');
-- SQL_UNSUPPORTED at line 1, column 43
-- More than 512 grouping sets.

-- # A recursive query over several nodes
WITH RECURSIVE r AS (SELECT origin, target FROM transfers UNION SELECT r.origin, t.target FROM r JOIN transfers t ON t.origin = r.target)
SELECT count(*) FROM r;
-- SQL_UNSUPPORTED at line 1, column 16
-- This cannot be answered yet. A recursive WITH part reads rows of several nodes, or of persons.
-- Hint: Join on a site key or on reference tables, aggregate each side first in a WITH part, or ask one node at a time.

-- # PIVOT
SELECT * FROM (PIVOT wards ON kind USING sum(beds));
-- SQL_UNSUPPORTED at line 1, column 22 by rule construct
-- The construct PIVOT is not among those that may run at a node.

-- # A sample
SELECT count(*) FROM wards USING SAMPLE 10%;
-- SQL_UNSUPPORTED at line 1, column 8 by rule construct
-- The construct SELECT with sample is not among those that may run at a node.

-- # A positional join
SELECT count(*) FROM wards POSITIONAL JOIN shifts;
-- SQL_UNSUPPORTED at line 1, column 44 by rule construct
-- The construct JOIN with method is not among those that may run at a node.

-- # An ASOF join
SELECT count(*) FROM shifts s ASOF JOIN calendar c ON s.day >= c.day;
-- SQL_UNSUPPORTED at line 1, column 41 by rule construct
-- The construct JOIN with method is not among those that may run at a node.

-- # LATERAL
SELECT w.ward, x.total FROM wards w, LATERAL (SELECT sum(s.nurses) AS total FROM shifts s WHERE s.finess = w.finess) x;
-- SQL_UNSUPPORTED at line 1, column 54 by rule construct
-- The construct LATERAL is not among those that may run at a node.

-- # UNNEST
SELECT ward, unnest(tags) AS tag FROM wards;
-- SQL_UNKNOWN_FUNCTION at line 1, column 14 by rule function
-- The function 'unnest' is not among those that may run at a node.
-- Hint: The list of functions is in the documentation of the border check.

-- # UNION BY NAME
SELECT ward, beds FROM wards UNION ALL BY NAME SELECT beds, name FROM hospitals;
-- SQL_UNSUPPORTED at line 1, column 8 by rule construct
-- The construct UNION with by_name is not among those that may run at a node.

-- # COLUMNS
SELECT COLUMNS('b.*') FROM wards;
-- SQL_UNKNOWN_FUNCTION at line 1, column 8 by rule function
-- The function 'columns' is not among those that may run at a node.
-- Hint: The list of functions is in the documentation of the border check.

-- # A lambda
SELECT list_transform(tags, x -> upper(x)) FROM wards;
-- SQL_UNKNOWN_FUNCTION at line 1, column 8 by rule function
-- The function 'list_transform' is not among those that may run at a node.
-- Hint: The list of functions is in the documentation of the border check.

-- # Joins in parentheses
SELECT count(*) FROM stays s LEFT JOIN (acts a JOIN hospitals h ON h.finess = a.finess) ON a.stay = s.stay AND a.finess = s.finess;
-- SQL_UNSUPPORTED at line 1, column 41 by rule construct
-- The construct TABLE with joins is not among those that may run at a node.

-- # A type that does not survive the way
SELECT (year % 2)::VARCHAR::BIT AS bits, count(*) AS n FROM stays GROUP BY bits;
-- SQL_UNSUPPORTED at line 1, column 9
-- A value of type BIT cannot leave a node as it is.
-- Hint: Cast it to VARCHAR first.

-- # An expression that the parser does not take within ROLLUP
SELECT days > 3 AS long, count(*) AS n FROM stays GROUP BY ROLLUP (days > 3);
-- SQL_UNSUPPORTED at line 1, column 73
-- This is right, but cannot be read yet: expecting ) near '>'.
-- Hint: Write it otherwise: give an expression a name in the SELECT list, and use the name.
