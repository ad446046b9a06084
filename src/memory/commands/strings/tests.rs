use crate::memory::tests::client::Client;

#[test]
fn set_obeys_its_options() {
    Client::new().expect(&[
        ("SET a 1", "+OK"),
        ("SET a 2 NX", "$-1"),
        ("SET a 3 XX GET", "$1 1"),
        ("GET a", "$1 3"),
        ("SET a 4 NX XX", "-ERR syntax error"),
        ("SET a 4 EX 0", "-ERR invalid expire time in 'set' command"),
        (
            "SET a 4 EX x",
            "-ERR value is not an integer or out of range",
        ),
    ]);
}

#[test]
fn counters_count() {
    Client::new().expect(&[
        ("INCR n", ":1"),
        ("INCRBY n 9", ":10"),
        ("DECRBY n 20", ":-10"),
        ("INCRBYFLOAT n 0.1", "$4 -9.9"),
        ("INCRBYFLOAT n 0.2", "$4 -9.7"),
        ("INCR n", "-ERR value is not an integer or out of range"),
        ("SET n 9223372036854775807", "+OK"),
        ("INCR n", "-ERR increment or decrement would overflow"),
    ]);
}

#[test]
fn ranges_count_from_both_ends() {
    Client::new().expect(&[
        ("SETRANGE s 5 World", ":10"),
        ("SETRANGE s 0 Hello", ":10"),
        ("GETRANGE s -5 -1", "$5 World"),
        ("GETRANGE s 3 100", "$7 loWorld"),
        ("GETRANGE s 9 3", "$0 "),
        ("APPEND s !", ":11"),
        ("STRLEN s", ":11"),
    ]);
}
