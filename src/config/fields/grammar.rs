//! The grammar of the table: everything that follows from a row.

/// The type that a setting has until it is resolved: one whose default follows from others, or that
/// can be switched off, may have no value.
macro_rules! stored {
    (fixed $type:ty) => { $type };
    (derived $type:ty) => { Option<$type> };
    (optional $type:ty) => { Option<$type> };
}

/// The type that a setting has once it is resolved.
macro_rules! sealed {
    (fixed $type:ty) => { $type };
    (derived $type:ty) => { $type };
    (optional $type:ty) => { Option<$type> };
}

/// A value of a setting as it is stored.
macro_rules! store {
    (fixed, $value:expr) => {
        $value
    };
    (via $convert:path, $value:expr) => {
        Some($convert($value))
    };
    ($kind:ident, $value:expr) => {
        Some($value)
    };
}

/// The setter of a setting, unless it has no argument.
macro_rules! setter {
    ($(#[$doc:meta])+ $name:ident()) => {};
    ($(#[$doc:meta])+ $name:ident($argument:ident: $given:ty; $($kind:tt)+)) => {
        $(#[$doc])+
        pub fn $name(mut self, $argument: $given) -> Self {
            self.$name.offer(store!($($kind)+, $argument), Origin::Setter);
            self
        }
    };
}

/// The default of a setting as it is stored.
macro_rules! initial {
    (derived $($default:tt)+) => { None };
    (optional none) => { None };
    (optional $($default:tt)+) => { Some(amount!($($default)+)) };
    (fixed $($default:tt)+) => { amount!($($default)+) };
}

/// A setting as it is resolved.
macro_rules! seal {
    ($config:expr, $all:expr, derived $name:ident, $($default:tt)+) => {
        $config.$name.get().unwrap_or(derive!($config, $all, $($default)+))
    };
    ($config:expr, $all:expr, $kind:ident $name:ident, $($default:tt)+) => {
        *$config.$name.get()
    };
}

/// A default that follows from other settings. `all` is the configuration of all databases.
macro_rules! derive {
    ($config:expr, $all:expr, $number:literal $unit:ident, at most half of $other:ident) => {
        amount!($number $unit).min(*$config.$other.get() / 2)
    };
    ($config:expr, $all:expr, $number:literal $unit:ident, at most $other:ident) => {
        amount!($number $unit).min(*$config.$other.get())
    };
    ($config:expr, $all:expr, that of Config::$name:ident) => { $all.$name };
}

/// The check of a setting against its range, if it has one.
macro_rules! check {
    ($setting:expr, $key:expr, $report:expr, ()) => {};
    ($setting:expr, $key:expr, $report:expr, ($($range:tt)+)) => {
        $report.range_of($key, &$setting, &range!($($range)+));
    };
}

/// The check of a setting against the one that bounds it, if there is one.
macro_rules! compare {
    ($config:expr, $name:ident, $key:expr, $report:expr, ()) => {};
    (
        $config:expr, $name:ident, $key:expr, $report:expr,
        (at most $other:ident $(as $other_key:literal)?)
    ) => {
        $report.at_most(
            ($key, &$config.$name),
            (key!($other $($other_key)?), &$config.$other),
        );
    };
}

/// A value of a setting, read from text. One with a range is within it.
macro_rules! read {
    (optional $type:ty, $text:expr, $range:tt) => {
        if is_off($text) { None } else { Some(read!(fixed $type, $text, $range)) }
    };
    (derived $type:ty, $text:expr, $range:tt) => { Some(read!(fixed $type, $text, $range)) };
    (fixed $type:ty, $text:expr, ()) => { <$type as Setting>::read($text)? };
    (fixed $type:ty, $text:expr, ($($range:tt)+)) => {{
        let value = <$type as Setting>::read($text)?;
        within(value.measure(), &range!($($range)+))?;
        value
    }};
}

/// The variable of a setting, if it has one.
macro_rules! variable {
    () => {
        None
    };
    ($variable:literal) => {
        Some($variable)
    };
}

/// From the rows of the table: [`DatabaseConfig`] with its setters and `Debug`, its checks, the
/// reading of texts, and [`DatabaseSettings`].
///
/// The first line of a row's documentation is its sentence. Rows of `server` and `login` are resolved by
/// `resolve.rs`, since these depend on the URL; after `=>` stands the resolved field. A row of
/// `limits` starts with the way in which it is resolved:
/// - `fixed`: has a value always;
/// - `derived`: left out, it follows from other settings;
/// - `optional`: can be switched off.
///
/// A row without an argument in parentheses has its setter in `database.rs`. `names` are further keys that
/// files may use for the setting.
macro_rules! fields {
    (
        server {$(
            #[doc = $server_sentence:literal]
            $(#[doc = $server_doc:literal])*
            $server:ident ($server_argument:ident: $server_given:ty) via $server_via:path:
                $server_stored:ty,
                default($server_default:literal),
                range($server_range:literal),
                variable($server_variable:literal);
        )+}
        login {$(
            #[doc = $login_sentence:literal]
            $(#[doc = $login_doc:literal])*
            $login:ident $(($login_argument:ident: $login_given:ty) via $via:path)?:
                $login_stored:ty => $login_sealed:ident: $login_type:ty,
                default($login_default:literal),
                range($login_range:literal)
                $(, parts($login_parts:ty))?
                $(, variable($login_variable:literal))?
                $(, names($($login_names:literal),+))?;
        )+}
        limits {$(
            #[doc = $sentence:literal]
            $(#[doc = $doc:literal])*
            $kind:ident $name:ident $(as $key:literal)? $(($argument:ident))?: $type:ty,
                default($($default:tt)+)
                $(, range($($range:tt)+))?
                $(, bound($($bound:tt)+))?
                $(, parts($check_parts:path))?
                $(, choices($choices:literal))?
                $(, variable($variable:literal))?
                $(, names($($names:literal),+))?;
        )+}
    ) => {
        /// How to reach one database, and the limits of its use.
        ///
        /// Plain data: no setter fails, and everything is checked together when the supervisor
        /// starts, or by [`Config::check`](crate::Config::check). The defaults suit a server in
        /// the same network that answers within milliseconds. Each setter states its default, its
        /// range, and the reason to choose another value. Setters override the URL.
        ///
        /// ```
        /// use redis_steward::DatabaseConfig;
        /// use std::time::Duration;
        ///
        /// let sessions = DatabaseConfig::from_url("redis://cache.internal:6379")
        ///     .number(6)
        ///     .username("app")
        ///     .password("from a secret store")
        ///     .command_timeout(Duration::from_millis(500))
        ///     .max_connections(20);
        /// # redis_steward::Config::new().database("sessions", sessions).check().unwrap();
        /// ```
        #[derive(Clone)]
        #[must_use]
        pub struct DatabaseConfig {
            $(pub(super) $server: Layered<$server_stored>,)+
            $(pub(super) $login: Layered<$login_stored>,)+
            $(pub(super) $name: Layered<stored!($kind $type)>,)+
        }

        impl Default for DatabaseConfig {
            fn default() -> Self {
                Self {
                    $($server: Layered::new(None),)+
                    $($login: Layered::new(Default::default()),)+
                    $($name: Layered::new(initial!($kind $($default)+)),)+
                }
            }
        }

        impl DatabaseConfig {
            $(setter! {
                #[doc = $server_sentence]
                #[doc = ""]
                #[doc = facts!(
                    default($server_default) range($server_range) variable($server_variable)
                )]
                $(#[doc = $server_doc])*
                $server($server_argument: $server_given; via $server_via)
            })+
            $(setter! {
                #[doc = $login_sentence]
                #[doc = ""]
                #[doc = facts!(
                    default($login_default) range($login_range) variable($($login_variable)?)
                )]
                $(#[doc = $login_doc])*
                $login($($login_argument: $login_given; via $via)?)
            })+
            $(setter! {
                #[doc = $sentence]
                #[doc = ""]
                #[doc = facts!(
                    default(default_text!($($default)+))
                    range(range_text!(($($($range)+)?) ($($($bound)+)?) ($($check_parts)? $($choices)?)))
                    variable($($variable)?)
                )]
                $(#[doc = $doc])*
                $name($($argument: $type; $kind)?)
            })+
        }

        /// Shows no secret: the types of `url`, `username` and `password` mask themselves.
        impl fmt::Debug for DatabaseConfig {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("DatabaseConfig")
                    $(.field(stringify!($server), &self.$server))+
                    $(.field(stringify!($login), &self.$login))+
                    $(.field(stringify!($name), &self.$name))+
                    .finish()
            }
        }

        impl DatabaseConfig {
            /// Checks the limits: each against its range, then against each other.
            pub(super) fn check_limits(&self, report: &mut Report<'_>) {
                $(check!(self.$name, key!($name $($key)?), report, ($($($range)+)?));)+
                $($(
                    if let Some(parts) = self.$name.get() {
                        $check_parts(parts, report);
                    }
                )?)+
                $(compare!(self, $name, key!($name $($key)?), report, ($($($bound)+)?));)+
            }

            /// Sets a setting, or a part of one, from text. The key is one of the table.
            ///
            /// # Errors
            /// What is wrong with the text, without the name of the setting.
            pub(super) fn set(
                &mut self,
                key: &str,
                text: &str,
                origin: &Origin,
            ) -> Result<(), String> {
                match key {
                    "url" => self.offer_url(SecretUrl::read(text)?, origin),
                    $(stringify!($server) => {
                        let value = <$server_stored as Setting>::read(text)?;
                        self.$server.offer(value, origin.clone());
                    })+
                    $(stringify!($login) => {
                        let value = <$login_stored as Setting>::read(text)?;
                        self.$login.offer(value, origin.clone());
                    })+
                    $(key!($name $($key)?) => {
                        let value = read!($kind $type, text, ($($($range)+)?));
                        self.$name.offer(value, origin.clone());
                    })+
                    _ => return self.set_part(key, text, origin),
                }
                Ok(())
            }

            fn set_part(&mut self, key: &str, text: &str, origin: &Origin) -> Result<(), String> {
                $($(
                    if key.strip_prefix(stringify!($login)).is_some_and(is_part) {
                        let whole = self.$login.get().clone();
                        let mut whole: $login_parts = whole.unwrap_or_default();
                        whole.set(key, text)?;
                        self.$login.offer(Some(whole), origin.clone());
                        return Ok(());
                    }
                )?)+
                $($(
                    let _: fn(&$type, &mut Report<'_>) = $check_parts;
                    if key.strip_prefix(stringify!($name)).is_some_and(is_part) {
                        let mut whole = self.$name.get().unwrap_or_default();
                        whole.set(key, text)?;
                        self.$name.offer(Some(whole), origin.clone());
                        return Ok(());
                    }
                )?)+
                unreachable!("BUG: {key} is not in the table of settings")
            }

            /// The limits as they take effect, each as a person may see it.
            pub(super) fn effective_limits(&self, all: &Config) -> Vec<(&'static str, String)> {
                vec![$((
                    key!($name $($key)?),
                    seal!(self, all, $kind $name, $($default)+).shown(),
                ),)+]
            }

            /// Every setting that was given, as text that [`set`](Self::set) reads. One that holds a secret is
            /// left out.
            #[cfg(feature = "serde")]
            pub(super) fn given(&self) -> Vec<(&'static str, String)> {
                let mut given = Vec::new();
                $(if *self.$server.origin() != Origin::Default {
                    self.$server.get().write(stringify!($server), &mut given);
                })+
                $(if *self.$login.origin() != Origin::Default {
                    self.$login.get().write(stringify!($login), &mut given);
                })+
                $(if *self.$name.origin() != Origin::Default {
                    self.$name.get().write(key!($name $($key)?), &mut given);
                })+
                given
            }

            /// The settings, with the defaults of everything that was left out.
            pub(super) fn seal(&self, name: &str, login: Login, all: &Config) -> DatabaseSettings {
                DatabaseSettings {
                    name: name.into(),
                    $($login_sealed: login.$login_sealed,)+
                    $($name: seal!(self, all, $kind $name, $($default)+),)+
                }
            }
        }

        impl Origins for DatabaseConfig {
            fn origin(&self, key: &str) -> Option<&Origin> {
                $(if key == stringify!($server) {
                    return Some(self.$server.origin());
                })+
                $(if key.strip_prefix(stringify!($login)).is_some_and(is_whole_or_part) {
                    return Some(self.$login.origin());
                })+
                $(if key.strip_prefix(key!($name $($key)?)).is_some_and(is_whole_or_part) {
                    return Some(self.$name.origin());
                })+
                None
            }
        }

        /// Where to connect and as which user.
        pub(super) struct Login {
            $(pub(super) $login_sealed: $login_type,)+
        }

        /// One database. The setters of [`DatabaseConfig`] explain each value. Here every one is
        /// within its range and its bound, and a user name comes with a password.
        #[derive(Clone, Debug)]
        pub(crate) struct DatabaseSettings {
            pub(crate) name: Arc<str>,
            $(pub(crate) $login_sealed: $login_type,)+
            $(pub(crate) $name: sealed!($kind $type),)+
        }

        impl DatabaseSettings {
            /// What changes from these settings to others.
            pub(crate) fn changes(&self, other: &Self) -> Changes {
                let mut changes = Changes(Vec::new());
                $(if !self.$login_sealed.is_same(&other.$login_sealed) {
                    changes.0.push(stringify!($login));
                })+
                $(if !self.$name.is_same(&other.$name) {
                    changes.0.push(key!($name $($key)?));
                })+
                changes
            }
        }

        /// The table as data.
        pub(super) const FIELDS: &[Field] = &[
            $(Field {
                key: stringify!($server),
                names: &[],
                #[cfg(test)]
                unit: <$server_stored as Setting>::KIND,
                schema: <$server_stored as Setting>::SCHEMA,
                #[cfg(test)]
                range: $server_range,
                #[cfg(test)]
                default: $server_default,
                example: login_example(stringify!($server)),
                variable: Some($server_variable),
                #[cfg(test)]
                sentence: $server_sentence,
            },)+
            $(Field {
                key: stringify!($login),
                names: &[$($($login_names),+)?],
                #[cfg(test)]
                unit: <$login_stored as Setting>::KIND,
                schema: <$login_stored as Setting>::SCHEMA,
                #[cfg(test)]
                range: $login_range,
                #[cfg(test)]
                default: $login_default,
                example: login_example(stringify!($login)),
                variable: variable!($($login_variable)?),
                #[cfg(test)]
                sentence: $login_sentence,
            },)+
            $(Field {
                key: key!($name $($key)?),
                names: &[$($($names),+)?],
                #[cfg(test)]
                unit: <$type as Setting>::KIND,
                schema: <$type as Setting>::SCHEMA,
                #[cfg(test)]
                range: range_text!(($($($range)+)?) ($($($bound)+)?) ($($check_parts)? $($choices)?)),
                #[cfg(test)]
                default: default_text!($($default)+),
                example: example_of(stringify!($name), example!($($default)+)),
                variable: variable!($($variable)?),
                #[cfg(test)]
                sentence: $sentence,
            },)+
        ];
    };
}
