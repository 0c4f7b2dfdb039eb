-- What cannot be cut yet: the construct and its place, and what to do instead.

-- # Distinct persons at several hospitals
SELECT region, count(DISTINCT patient) AS persons FROM stays GROUP BY region;
-- SQL_UNSUPPORTED at line 1, column 16 by rule linkage-not-in-permit
-- count(DISTINCT ...) cannot be split over several nodes yet: its values may be at several nodes, and the same one must count once. To bring the rows together, 'lyon' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.
-- Hint: Count rows, or group by a site key such as the node; persons at several nodes are counted at each. approx_count_distinct estimates other values where policy says 'coordinator: sketch'. Or: Ask the authority for a permit with linkage.

-- # A join of persons at several hospitals by the person alone
SELECT count(*) FROM stays s JOIN acts a ON a.patient = s.patient;
-- SQL_UNSUPPORTED at line 1, column 35 by rule linkage-not-in-permit
-- This cannot be answered yet. This join may bring together rows of different nodes: it does not equate a site key. To bring the rows together, 'lyon' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.
-- Hint: Add ON s.finess = a.finess AND s.stay = a.stay; or aggregate each side first in a WITH part, and join the groups. Or: Ask the authority for a permit with linkage.

-- # A join of persons of the insurer with those of the hospitals
SELECT s.region, count(*) FROM stays s JOIN insured i ON i.patient = s.patient GROUP BY s.region;
-- SQL_UNSUPPORTED at line 1, column 45 by rule linkage-not-in-permit
-- This cannot be answered yet. This join may bring together rows of different nodes: it does not equate a site key. To bring the rows together, 'cnam' would have to send rows of 'insured', which are about persons, to another node, and the permit does not say linkage.
-- Hint: The two sides share no site key. Aggregate each first in a WITH part, and join the groups. Or: Ask the authority for a permit with linkage.

-- # A left join that keeps reference rows
SELECT h.name, count(s.stay) AS n FROM hospitals h LEFT JOIN stays s ON s.finess = h.finess GROUP BY h.name;
-- SQL_UNSUPPORTED at line 1, column 62 by rule linkage-not-in-permit
-- This cannot be answered yet. This LEFT JOIN keeps rows of a table that every node has: every node would add those that match nothing. To bring the rows together, 'lyon' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.
-- Hint: Aggregate the other side first in a WITH part, and join the reference table to its groups; or turn the join round. Or: Ask the authority for a permit with linkage.

-- # A set operation of persons' rows
SELECT count(*) FROM (SELECT patient, region FROM stays UNION SELECT patient, region FROM insured) u;
-- SQL_UNSUPPORTED at line 1, column 30 by rule linkage-not-in-permit
-- This cannot be answered yet. UNION compares rows of several nodes. To bring the rows together, 'cnam' would have to send rows of 'insured', which are about persons, to another node, and the permit does not say linkage.
-- Hint: Aggregate first in a WITH part, and do this to the groups; or ask one node (WHERE _node = '...'). Or: Ask the authority for a permit with linkage.

-- # A LIMIT below an aggregate of persons
SELECT avg(days) FROM (SELECT days FROM stays LIMIT 10) t;
-- SQL_UNSUPPORTED at line 1, column 53 by rule linkage-not-in-permit
-- This cannot be answered yet. A LIMIT chooses among rows of several nodes. To bring the rows together, 'lyon' would have to send rows of 'stays', which are about persons, to another node, and the permit does not say linkage.
-- Hint: Aggregate first in a WITH part, and do this to the groups; or ask one node (WHERE _node = '...'). Or: Ask the authority for a permit with linkage.

-- # The same grouping set twice
SELECT region, count(*) FROM stays GROUP BY GROUPING SETS ((region), (region));
-- SQL_UNSUPPORTED at line 1, column 61
-- The same grouping set stands twice, which cannot be split over nodes.
-- Hint: Leave out one of the two.

-- # Too many grouping sets
SELECT count(*) FROM stays GROUP BY CUBE (region, year, sex, urgent, diagnosis, entered, finess, days, _node, region || 'x');
-- SQL_UNSUPPORTED at line 1, column 43
-- More than 512 grouping sets.

-- # A sample
SELECT count(*) FROM wards USING SAMPLE 10%;
-- SQL_UNSUPPORTED at line 1, column 8
-- A sample is another one every time and at every node, so there is no one answer.
-- Hint: Choose rows by a rule over their columns, such as WHERE hash(ward) % 10 = 0.

-- # A positional join
SELECT count(*) FROM wards POSITIONAL JOIN shifts;
-- SQL_UNSUPPORTED at line 1, column 44
-- A POSITIONAL JOIN pairs rows by an order that tables do not have.
-- Hint: Give each side an order: (SELECT ... ORDER BY ...) a POSITIONAL JOIN (... ORDER BY ...) b.

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

-- # PIVOT whose columns depend on the rows
SELECT * FROM (PIVOT wards ON kind USING sum(beds));
-- SQL_UNSUPPORTED at line 1, column 31
-- The columns of this PIVOT depend on the rows.
-- Hint: Name the values: PIVOT ... ON kind IN ('a', 'b') USING ...

-- # PIVOT with an ORDER BY of its own
PIVOT wards ON kind IN ('surgery', 'medicine') USING sum(beds) GROUP BY finess ORDER BY finess;
-- SQL_UNSUPPORTED at line 1, column 80
-- This is right, but cannot be read yet: invalid expression / Unexpected token near 'ORDER BY'.
-- Hint: Write it otherwise: give an expression a name in the SELECT list, and use the name.

-- # A sample of a table
SELECT ward FROM wards TABLESAMPLE 10%;
-- SQL_UNSUPPORTED at line 1, column 18
-- A sample is another one every time and at every node, so there is no one answer.
-- Hint: Choose rows by a rule over their columns, such as WHERE hash(ward) % 10 = 0.

-- # PIVOT of persons' rows
SELECT * FROM (SELECT region, sex, days FROM stays) PIVOT (count(*) FOR sex IN ('F', 'M'));
-- SQL_UNSUPPORTED at line 1, column 23 by rule construct
-- The construct SUBQUERY with pivots is not among those that may run at a node.

-- # A lambda over persons' rows
SELECT region, sum(len(list_filter([days, 3], x -> x > 2))) AS n FROM stays GROUP BY region;
-- SQL_UNKNOWN_FUNCTION at line 1, column 24 by rule function
-- The function 'list_filter' is not among those that may run at a node.
-- Hint: The list of functions is in the documentation of the border check.

-- # A row of a person as a value
SELECT count(s) AS n FROM stays s;
-- SQL_UNSUPPORTED at line 1, column 14 by rule construct
-- The construct a whole row as a value is not among those that may run at a node.

-- # LATERAL over persons' rows
SELECT w.ward, x.n FROM wards w, LATERAL (SELECT count(*) AS n FROM stays s WHERE s.finess = w.finess) x;
-- SQL_UNSUPPORTED at line 1, column 50 by rule construct
-- The construct LATERAL is not among those that may run at a node.

-- # A recursive query over persons
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT count(*) FROM stays)) SELECT count(*) FROM r;
-- SQL_UNSUPPORTED at line 1, column 84
-- Groups of persons cannot be asked within, or below, WITH RECURSIVE.
-- Hint: Ask for the groups in one query, and send them into the recursion as VALUES in another.

-- # A struct of a person's values
SELECT count(DISTINCT {'a': region, 'b': sex}) AS n FROM stays;
-- SQL_UNKNOWN_FUNCTION at line 1, column 29 by rule function
-- The function 'Struct' is not among those that may run at a node.
-- Hint: The list of functions is in the documentation of the border check.

-- # A NATURAL join in a query that names the node
SELECT _node, day FROM shifts NATURAL JOIN calendar;
-- SQL_UNSUPPORTED at line 1, column 44
-- A NATURAL JOIN cannot stand in a query that names '_node'.
-- Hint: Name the columns: JOIN ... USING (...).

-- # A star in a query that names the node, in a form that runs whole
SELECT *, w.tags[1:1] AS first FROM wards w WHERE w._node = 'lille';
-- SQL_UNSUPPORTED at line 1, column 8
-- A star cannot stand for all columns but '_node' in a query of this form.
-- Hint: Name the columns.

-- # A part that has the name of a table that is read
WITH calendar AS (SELECT day FROM calendar) SELECT list_transform(list(day ORDER BY day), x -> x + 1) FROM calendar;
-- SQL_UNSUPPORTED at line 1, column 35
-- A WITH part has the name of the table 'calendar', which is read, too.
-- Hint: Give the part another name.
