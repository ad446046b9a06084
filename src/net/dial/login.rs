//! The forms of AUTH.

use redis::{Cmd, ServerError, cmd};
use secrecy::ExposeSecret;

use crate::config::DatabaseSettings;

/// The arguments of AUTH. The settings have the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    UserAndPassword,
    Password,
    /// The user `default` and the password.
    DefaultUser,
}

impl Login {
    /// The form that the settings ask for; `None` without a password.
    pub(super) fn of(settings: &DatabaseSettings) -> Option<Self> {
        settings.password.as_ref()?;
        Some(match settings.username {
            Some(_) => Self::UserAndPassword,
            None => Self::Password,
        })
    }

    pub(super) fn command(self, settings: &DatabaseSettings) -> Cmd {
        let mut auth = cmd("AUTH");
        match (self, &settings.username) {
            (Self::UserAndPassword, Some(user)) => auth.arg(&user.0),
            (Self::DefaultUser, _) => auth.arg("default"),
            _ => &mut auth,
        };
        if let Some(password) = &settings.password {
            auth.arg(password.expose_secret());
        }
        auth
    }

    /// The form to try after a refusal; `None` if the refusal is final.
    ///
    /// A server before 6.0 knows no users. A later one whose default user has no password refuses a
    /// password alone, and accepts any password for that user by its name.
    pub(super) fn instead(self, refusal: &ServerError) -> Option<Self> {
        let text = refusal.details().unwrap_or_default();
        match self {
            Self::UserAndPassword if text.contains("wrong number of arguments") => {
                Some(Self::Password)
            }
            Self::Password if text.contains("without any password configured") => {
                Some(Self::DefaultUser)
            }
            _ => None,
        }
    }
}
