//! Whether a request comes from the page, and not from another site that a browser has open.

use super::StatusRequest;

/// The value of `x-redis-steward`. A form cannot send that header, and a script of another site only if CORS permits it.
const MARKER: &[u8] = b"status-page";

/// The rules of Go's `net/http.CrossOriginProtection`, and the header of the page. The error tells an operator why.
pub(super) fn check(request: &StatusRequest<'_>) -> Result<(), &'static str> {
    if request.marker != Some(MARKER) {
        return Err("the header x-redis-steward: status-page is missing");
    }
    let is_same = match (request.fetch_site, request.origin) {
        (Some(site), _) => site == b"same-origin",
        (None, Some(origin)) => authority(origin).is_some_and(|own| request.host == Some(own)),
        // It is no browser.
        (None, None) => true,
    };
    if is_same {
        Ok(())
    } else {
        Err("the request comes from another site")
    }
}

/// Host and port of an origin.
fn authority(origin: &[u8]) -> Option<&[u8]> {
    let scheme = origin.windows(3).position(|part| part == b"://")?;
    Some(&origin[scheme + 3..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &[(&str, &'static str)]) -> StatusRequest<'static> {
        let request = StatusRequest::new("POST", "isolate");
        headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value.as_bytes())
        })
    }

    #[test]
    fn requests_of_other_sites_are_told_from_those_of_the_page() {
        let marker = ("X-Redis-Steward", "status-page");
        let site = |value| ("sec-fetch-site", value);
        let own = [
            ("origin", "http://a.example:8080"),
            ("host", "a.example:8080"),
        ];
        assert!(check(&with(&[marker])).is_ok());
        assert!(check(&with(&[marker, site("same-origin")])).is_ok());
        assert!(check(&with(&[marker, own[0], own[1]])).is_ok());

        assert!(check(&with(&[])).is_err());
        assert!(check(&with(&[("x-redis-steward", "yes")])).is_err());
        assert!(check(&with(&[site("same-origin"), own[0], own[1]])).is_err());
        for other in ["cross-site", "same-site", "none"] {
            assert!(check(&with(&[marker, site(other), own[0], own[1]])).is_err());
        }
        for origin in ["http://b.example", "null", "http://a.example"] {
            assert!(check(&with(&[marker, ("origin", origin), own[1]])).is_err());
        }
        assert!(check(&with(&[marker, own[0]])).is_err());
    }
}
