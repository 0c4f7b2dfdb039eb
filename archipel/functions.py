"""The registry of scalar and window functions that SQL may call, by DuckDB's name, lower case.

What stands here computes from its arguments alone. Left out, and so unknown and refused, is whatever reads or changes
anything else: files, settings, catalogue, sequences, variables, the clock, the session, randomness; what fails or
waits on purpose (``error``, ``sleep_ms``); and what runs SQL or names another function in a string (``query``,
``list_aggregate``). Aggregates stand in ``archipel.aggregates``.
"""

from __future__ import annotations

_MATH = """
abs acos acosh asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees divide even exp
factorial fdiv floor fmod gamma gcd greatest greatest_common_divisor isfinite isinf isnan lcm least
least_common_multiple lgamma ln log log10 log2 mod multiply pi pow power radians round round_even roundbankers sign
signbit sin sinh sqrt subtract tan tanh trunc xor add equi_width_bins
"""

_TEXT = """
ascii bit_length char_length character_length chr concat concat_ws contains damerau_levenshtein editdist3 ends_with
format from_base64 from_hex from_binary hamming hash hex instr jaccard jaro_similarity jaro_winkler_similarity lcase
left left_grapheme length length_grapheme len levenshtein lower lpad ltrim md5 mismatches nfc_normalize octet_length
ord position prefix printf regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches
regexp_replace regexp_split_to_array repeat replace reverse right right_grapheme rpad rtrim sha1 sha256 split
split_part starts_with str_split str_split_regex string_split string_split_regex string_to_array strip_accents
strlen strpos substr substring substring_grapheme suffix to_base to_base64 to_binary to_hex translate trim ucase
unbin unhex unicode upper encode decode like_escape ilike_escape not_like_escape not_ilike_escape base64 bin bar
"""

_TIME = """
age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear julian
last_day make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns microsecond millennium millisecond
minute month monthname nanosecond quarter second strftime strptime time_bucket timezone timezone_hour
timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes
to_months to_quarters to_seconds to_timestamp to_weeks to_years try_strptime week weekday weekofyear year yearweek
date
"""

_CHOICE = "coalesce if ifnull nullif constant_or_null typeof"

_LISTS = """
array_append array_cat array_concat array_contains array_distinct array_extract array_has array_has_all
array_has_any array_indexof array_intersect array_length array_position array_prepend array_reverse
array_reverse_sort array_slice array_sort array_to_string array_unique array_value cardinality element_at flatten
list_append list_avg list_bool_and list_bool_or list_cat list_concat list_contains list_count list_distinct
list_element list_extract list_first list_has list_has_all list_has_any list_indexof list_intersect list_last
list_max list_median list_min list_pack list_position list_prepend list_product list_resize list_reverse
list_reverse_sort list_slice list_sort list_sum list_unique list_value list_where list_zip
"""

_JSON = """
json_array_length json_contains json_exists json_extract json_extract_path json_extract_path_text
json_extract_string json_keys json_type json_valid json_value
"""

SCALAR: frozenset[str] = frozenset(" ".join((_MATH, _TEXT, _TIME, _CHOICE, _LISTS, _JSON)).split())
"""Functions of one row."""

_NESTED = """
row struct_pack struct_extract struct_insert map map_keys map_values map_entries map_extract map_contains map_concat
map_from_entries list_transform array_transform list_apply array_apply list_filter array_filter list_reduce
array_reduce reduce list_grade_up array_grade_up list_stddev_pop list_stddev_samp list_var_pop list_var_samp list_mode
list_any_value list_string_agg to_json json_array json_object json_merge_patch
"""

COORDINATOR_SCALAR: frozenset[str] = frozenset(_NESTED.split())
"""Functions of structs and maps, and those that take a lambda: over rows that have left their nodes only."""

_WINDOW = """
row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
"""

WINDOW: frozenset[str] = frozenset(_WINDOW.split())
"""Functions that are only called with OVER; every aggregate may be, too."""

TABLE: frozenset[str] = frozenset(("unnest", "generate_series", "range"))
"""Functions that stand in FROM."""

LEAST_ARGUMENTS: dict[str, int] = {"age": 2}
"""Functions that read the clock when they get fewer arguments."""

EXPRESSION_FORMS: frozenset[str] = frozenset(("cast", "try_cast", "extract", "case", "grouping", "grouping_id"))
"""What is written like a function and is part of the language."""


def is_scalar(name: str) -> bool:
    """Whether SQL may call the scalar function of that name.

    >>> is_scalar("Date_Trunc"), is_scalar("random")
    (True, False)
    """
    return name.lower() in SCALAR


def is_window(name: str) -> bool:
    """Whether it is a window function of its own."""
    return name.lower() in WINDOW
