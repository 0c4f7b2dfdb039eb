-- Medians and quantiles over persons that are not counted, each with its reason.

-- # A quantile of all groups and of each would tell the groups that are withheld
SELECT region, median(days) AS m FROM stays GROUP BY ROLLUP (region);
-- BORDER_REFUSED at line 1, column 23 by rule histogram
-- A median or quantile cannot be counted beside other grouping sets, of which the small groups would follow.
-- Hint: Ask for one quantile of each column, of plain groups, without FILTER; another one in a query of its own.

-- # Cells of one column under two conditions would differ by few
SELECT median(days) AS a, median(days) FILTER (WHERE region = 'Nord') AS b FROM stays;
-- BORDER_REFUSED at line 1, column 54 by rule histogram
-- A median or quantile cannot be counted of one column in two ways: their cells would differ by few.
-- Hint: Ask for one quantile of each column, of plain groups, without FILTER; another one in a query of its own.

-- # The median of text
SELECT median(region) AS m FROM stays;
-- SQL_UNSUPPORTED at line 1, column 8
-- median(...) of a protected value of type VARCHAR cannot be worked out from counts.
-- Hint: Ask for it of a number, a date or a time, or count the values.

-- # Quantiles that are not numbers from 0 to 1
SELECT quantile_disc(days, 2) AS m FROM stays;
-- SQL_TYPE
-- QUANTILE can only take parameters in the range [-1, 1].

-- # The mode of a measure
SELECT mode(cost) AS m FROM stays;
-- BORDER_REFUSED at line 1, column 13 by rule measure-group-key
-- The column 'Stays.cost' may be counted and summed but not grouped by.
-- Hint: Group by a column that the holder marks as group or public.
