//! A request, as any framework can tell it.

use std::borrow::Cow;

use url::form_urlencoded;

/// A request to a [`StatusPage`](crate::StatusPage): its parts that matter, borrowed from the request of a web framework.
#[derive(Clone, Copy, Debug)]
pub struct StatusRequest<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    query: &'a str,
    pub(super) marker: Option<&'a [u8]>,
    pub(super) fetch_site: Option<&'a [u8]>,
    pub(super) origin: Option<&'a [u8]>,
    pub(super) host: Option<&'a [u8]>,
}

impl<'a> StatusRequest<'a> {
    /// A request with this method, such as `GET`, and this path, which begins after that of the page. Slashes at its
    /// begin and end do not matter.
    pub fn new(method: &'a str, path: &'a str) -> Self {
        Self {
            method,
            path,
            query: "",
            marker: None,
            fetch_site: None,
            origin: None,
            host: None,
        }
    }

    /// The query, without its question mark and as it was sent. It names the database of an action, and the place
    /// after which a stream goes on.
    #[must_use]
    pub fn query(mut self, query: &'a str) -> Self {
        self.query = query;
        self
    }

    /// A header. Pass all of them, or at least `x-redis-steward`, `sec-fetch-site`, `origin` and `host`, without which
    /// actions are refused. The case of the name does not matter.
    #[must_use]
    pub fn header(mut self, name: &str, value: &'a [u8]) -> Self {
        for (known, place) in [
            ("x-redis-steward", &mut self.marker),
            ("sec-fetch-site", &mut self.fetch_site),
            ("origin", &mut self.origin),
            ("host", &mut self.host),
        ] {
            if name.eq_ignore_ascii_case(known) {
                *place = Some(value);
            }
        }
        self
    }

    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        Some(value)
    }
}
