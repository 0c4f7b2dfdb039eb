-- What is refused where holders let rows go to each other: the exchange that would be needed, and why it may not be.

-- # A table that no holder may get
SELECT r.illness, count(*) AS n FROM registry r JOIN stays s ON s.patient = r.patient GROUP BY r.illness;
-- POLICY_REFUSED at line 1, column 38 by rule form-none of node cnam
-- The holder lets nothing out of the table 'registry'.

-- # Rows of persons for themselves
SELECT i.region, s.diagnosis FROM insured i JOIN stays s ON s.patient = i.patient;
-- BORDER_REFUSED at line 1, column 8 by rule row-level-output of node cnam
-- This needs single rows of 'insured', which are about persons, beside rows of other nodes: only groups leave.
-- Hint: Join and aggregate in one SELECT, with GROUP BY over columns that the holder marks as group or public.

-- # A person's identifier is compared with a constant
SELECT i.region, count(*) AS n FROM insured i JOIN stays s ON s.patient = i.patient AND s.patient > 40 GROUP BY i.region;
-- BORDER_REFUSED at line 1, column 91 by rule person-expression
-- The column 'patient' identifies persons; nothing may be computed from it.
-- Hint: It may be joined with the same identifier of another table, grouped or partitioned by below the outermost SELECT, and counted with count(DISTINCT patient).

-- # The longest stay of all, over persons of two holders
SELECT i.region, max(s.days) AS longest FROM insured i JOIN stays s ON s.patient = i.patient GROUP BY i.region;
-- BORDER_REFUSED by rule value-aggregate
-- The aggregate 'max' shows single values of persons.
-- Hint: Use count, sum, avg, stddev, a low or high quantile, or counts by band of the value.
