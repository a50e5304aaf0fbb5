//! Relays: how they are named in settings, how the home relay fares, and what iroh has found out about the network.
#![forbid(unsafe_code)]

use std::{fmt::Write as _, str::FromStr};

use iroh::{
    Endpoint, RelayConfig, RelayUrl, Watcher,
    unstable_net_report::{NetReport, Probe},
};

/// Texts of strangers are cut to this.
const MAX_TEXT_BYTES: usize = 400;

/// A relay, as a setting names it: `URL [quic=PORT] [token=TOKEN]`; port 0 is for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Where it is.
    pub url: RelayUrl,
    quic_port: Option<u16>,
    token: Option<String>,
}

impl FromStr for Relay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ');
        let url = words.next().unwrap_or_default();
        let url = url.parse().map_err(|_| format!("relay {url}: not a URL"))?;
        let mut relay = Self { url, quic_port: None, token: None };
        for word in words {
            match word.split_once('=') {
                Some(("quic", port)) => {
                    relay.quic_port = Some(port.parse().map_err(|_| format!("relay quic={port}: not a port"))?);
                }
                Some(("token", token)) if !token.is_empty() => relay.token = Some(token.to_owned()),
                // What it is may be a secret.
                _ => return Err("relay: something besides URL, quic= and token=".to_owned()),
            }
        }
        Ok(relay)
    }
}

impl Relay {
    /// Address discovery over QUIC, on its standard port, comes with TLS; asking a plain relay for it costs three
    /// seconds.
    #[must_use]
    pub fn config(&self) -> RelayConfig {
        let mut config = RelayConfig::from(self.url.clone());
        match self.quic_port {
            None if self.url.scheme() == "https" => {}
            None | Some(0) => config.quic = None,
            Some(port) => {
                if let Some(quic) = &mut config.quic {
                    quic.port = port;
                }
            }
        }
        match &self.token {
            Some(token) => config.with_auth_token(token),
            None => config,
        }
    }
}

/// The home relays: lines of `attached`, `detached` or `denied`, the URL, and why.
#[must_use]
pub fn home_relays(endpoint: &Endpoint) -> String {
    let mut lines = String::new();
    for status in endpoint.home_relay_status().get() {
        let (state, why) = if status.is_connected() {
            ("attached", String::new())
        } else if let Some(reason) = status.auth_denied_reason() {
            ("denied", reason.to_owned())
        } else {
            ("detached", status.last_error().map(|error| format!("{error:#}")).unwrap_or_default())
        };
        let _ = writeln!(lines, "{state} {} {}", status.url(), one_line(&why));
    }
    lines
}

fn one_line(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace(['\n', '\r'], " ")
}

/// What iroh has last found out about the network: lines of a name and a value; what it does not know is left out.
#[must_use]
pub fn network_report(endpoint: &Endpoint) -> String {
    endpoint.net_report().get().as_ref().map(lines_of).unwrap_or_default()
}

fn lines_of(report: &NetReport) -> String {
    let mut lines = String::new();
    let _ = writeln!(lines, "udp4 {}\nudp6 {}", report.udp_v4, report.udp_v6);
    for (name, varies) in
        [("varies4", report.mapping_varies_by_dest_ipv4), ("varies6", report.mapping_varies_by_dest_ipv6)]
    {
        if let Some(varies) = varies {
            let _ = writeln!(lines, "{name} {varies}");
        }
    }
    if let Some(address) = report.global_v4 {
        let _ = writeln!(lines, "global {address}");
    }
    if let Some(address) = report.global_v6 {
        let _ = writeln!(lines, "global {address}");
    }
    if let Some(captive) = report.captive_portal {
        let _ = writeln!(lines, "captive {captive}");
    }
    for (probe, url, latency) in report.relay_latency.iter() {
        let probe = match probe {
            Probe::Https => "https",
            Probe::QadIpv4 => "quic4",
            Probe::QadIpv6 => "quic6",
            _ => continue,
        };
        let _ = writeln!(lines, "latency {probe} {} {url}", latency.as_micros());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{NetReport, Relay, lines_of, one_line};

    fn relay(text: &str) -> Relay {
        text.parse().unwrap()
    }

    #[test]
    fn address_discovery_comes_with_tls_unless_told_otherwise() {
        let port = |text| relay(text).config().quic.map(|quic| quic.port);
        assert_eq!(port("http://127.0.0.1:1/"), None);
        assert_eq!(port("https://r.example/"), Some(7842));
        assert_eq!(port("http://127.0.0.1:1/ quic=7"), Some(7));
        assert_eq!(port("https://r.example/ quic=0 token=a"), None);
    }

    #[test]
    fn a_token_is_passed_on() {
        let token = |text| relay(text).config().auth_token;
        assert_eq!(token("https://r.example/"), None);
        assert_eq!(token("https://r.example/ token=a=b").as_deref(), Some("a=b"));
    }

    #[test]
    fn what_makes_no_sense_is_named_but_for_secrets() {
        for (text, words) in [
            ("", "not a URL"),
            ("nowhere", "not a URL"),
            ("http://r.example/ quic=x", "not a port"),
            ("http://r.example/ token=", "something"),
        ] {
            assert!(text.parse::<Relay>().unwrap_err().contains(words), "{text}");
        }
        let error = "http://r.example/ secret".parse::<Relay>().unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn texts_of_others_stay_on_their_line() {
        assert_eq!(one_line("a\nb\r\nc"), "a b  c");
        assert_eq!(one_line(&"é".repeat(1000)).len(), 400);
        assert_eq!(one_line(&format!("a{}", "é".repeat(1000))).len(), 399);
    }

    #[test]
    fn a_report_says_what_is_known() {
        let mut report = NetReport::default();
        assert_eq!(lines_of(&report), "udp4 false\nudp6 false\n");
        report.udp_v4 = true;
        report.mapping_varies_by_dest_ipv4 = Some(true);
        report.global_v4 = Some("192.0.2.1:7".parse().unwrap());
        report.captive_portal = Some(false);
        assert_eq!(
            lines_of(&report),
            "udp4 true\nudp6 false\nvaries4 true\nglobal 192.0.2.1:7\ncaptive false\n"
        );
    }
}
