-- What the permit does not name: refused at the first place where it stands.

-- # A column in an output
-- : grants={"wards": ["finess", "ward", "kind"]}
SELECT kind, sum(beds) FROM wards GROUP BY kind;
-- PERMIT_SCOPE at line 1, column 18
-- The permit does not name column 'beds' of table 'wards'.
-- Hint: It names: finess, ward, kind.

-- # A column in a condition
-- : grants={"wards": ["finess", "ward", "kind"]}
SELECT kind, count(*) FROM wards WHERE active GROUP BY kind;
-- PERMIT_SCOPE at line 1, column 40
-- The permit does not name column 'active' of table 'wards'.
-- Hint: It names: finess, ward, kind.

-- # A column in a join
-- : grants={"shifts": ["ward", "nurses"]}
SELECT w.kind, sum(s.nurses) FROM wards w JOIN shifts s ON s.finess = w.finess AND s.ward = w.ward GROUP BY w.kind;
-- PERMIT_SCOPE at line 1, column 60
-- The permit does not name column 'finess' of table 'shifts'.
-- Hint: It names: ward, nurses.

-- # A column in a subquery
-- : grants={"stays": ["patient", "region", "days"]}
SELECT region, count(*) FROM stays s WHERE EXISTS (SELECT 1 FROM acts a WHERE a.stay = s.stay AND a.finess = s.finess) GROUP BY region;
-- PERMIT_SCOPE at line 1, column 88
-- The permit does not name column 'stay' of table 'stays'.
-- Hint: It names: patient, region, days.

-- # A column in a part that is not used
-- : grants={"wards": ["finess", "ward", "kind"]}
WITH unused AS (SELECT beds FROM wards) SELECT count(*) FROM wards;
-- PERMIT_SCOPE at line 1, column 24
-- The permit does not name column 'beds' of table 'wards'.
-- Hint: It names: finess, ward, kind.

-- # A star
-- : grants={"wards": ["finess", "ward", "kind"]}
SELECT * FROM wards;
-- PERMIT_SCOPE at line 1, column 8
-- The permit does not name column 'beds' of table 'wards'.
-- Hint: It names: finess, ward, kind.

-- # A star of one table among others
-- : grants={"hospitals": ["finess", "name"]}
SELECT w.ward, h.* FROM wards w JOIN hospitals h USING (finess);
-- PERMIT_SCOPE at line 1, column 18
-- The permit does not name column 'region' of table 'hospitals'.
-- Hint: It names: finess, name.

-- # The same with the columns named
-- : grants={"hospitals": ["finess", "name"]}
SELECT w.ward, h.region FROM wards w JOIN hospitals h USING (finess);
-- PERMIT_SCOPE at line 1, column 16
-- The permit does not name column 'region' of table 'hospitals'.
-- Hint: It names: finess, name.
