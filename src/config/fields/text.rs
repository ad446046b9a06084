//! Quantities of the table, as constants and as text.
//!
//! A quantity is written once, with its unit: `5 s`, `512 MiB`, `50`.

/// A quantity as a constant.
macro_rules! amount {
    ($number:literal ms) => {
        Duration::from_millis($number)
    };
    ($number:literal s) => {
        Duration::from_secs($number)
    };
    ($number:literal min) => {
        Duration::from_secs($number * 60)
    };
    ($number:literal days) => {
        Duration::from_secs($number * 86_400)
    };
    ($number:literal year) => {
        Duration::from_secs($number * 365 * 86_400)
    };
    ($number:literal KiB) => {
        $number << 10
    };
    ($number:literal MiB) => {
        $number << 20
    };
    ($number:literal GiB) => {
        $number << 30
    };
    ($value:expr) => {
        $value
    };
}

/// A range, as `RangeInclusive` of the type that its setting is compared in.
macro_rules! range {
    ($low:literal $($unit:ident)? ..= $high:literal $($high_unit:ident)?) => {
        amount!($low $($unit)?)..=amount!($high $($high_unit)?)
    };
    ($low:literal $($unit:ident)? ..) => { amount!($low $($unit)?)..=u64::MAX };
}

/// A default as text.
macro_rules! default_text {
    (none) => { "none" };
    ($number:literal $unit:ident) => { concat!(stringify!($number), " ", stringify!($unit)) };
    ($number:literal $unit:ident, at most half of $other:ident) => {
        concat!(
            default_text!($number $unit),
            ", or half of `", stringify!($other), "` if that is shorter"
        )
    };
    ($number:literal $unit:ident, at most $other:ident) => {
        concat!(
            default_text!($number $unit),
            ", or `", stringify!($other), "` if that is shorter"
        )
    };
    (that of $other:path) => { concat!("that of `", stringify!($other), "`") };
    ($value:literal) => { stringify!($value) };
    ($value:expr) => { concat!("`", stringify!($value), "`") };
}

/// The default as files and variables may hold it, for messages; another value if there is no default.
macro_rules! example {
    (none) => { "60" };
    ($number:literal s) => { stringify!($number) };
    ($number:literal $unit:ident) => { concat!(stringify!($number), " ", stringify!($unit)) };
    ($number:literal $unit:ident, $($bound:tt)+) => { example!($number $unit) };
    (that of $other:path) => { "60" };
    (Keepalive::new()) => { "true" };
    (WhenDown::Refuse) => { "refuse" };
    (MaintenanceNotifications::Auto) => { "auto" };
    ($value:literal) => { stringify!($value) };
}

/// A range as text, with the setting that bounds it further.
macro_rules! range_text {
    (($($range:tt)+) (at most $other:ident $(as $key:literal)?) ()) => {
        concat!(range_text!(($($range)+) () ()), ", and at most `", key!($other $($key)?), "`")
    };
    (($low:literal $($unit:ident)? ..= $high:literal $($high_unit:ident)?) () ()) => {
        concat!(default_text!($low $($unit)?), " to ", default_text!($high $($high_unit)?))
    };
    (($low:literal $($unit:ident)? ..) () ()) => {
        concat!("at least ", default_text!($low $($unit)?))
    };
    (() () ($choices:literal)) => { $choices };
    (() () ($parts:path)) => { "that of each part" };
    (() () ()) => { "true or false" };
}

/// The sentences of a setter's documentation that come from the table.
macro_rules! facts {
    (default($default:expr) range($range:expr) variable($variable:literal)) => {
        concat!(
            facts!(default($default) range($range) variable()),
            " [`Config::from_env`](crate::Config::from_env) reads `", $variable, "`."
        )
    };
    (default($default:expr) range($range:expr) variable()) => {
        concat!("Default: ", $default, ". Range: ", $range, ".")
    };
}

/// The name of a setting in messages, and later in files.
macro_rules! key {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $key:literal) => {
        $key
    };
}
