//! A node of iroh's own, with iroh's own look-ups, for the interoperability tests. It reaches nothing but what it is
//! told: no relay, no port mapper, of the DHT only the nodes given with `--bootstrap`, and no server but those given.
//!
//! ```text
//! p2p-interop-peer dht COUNT              a DHT of so many nodes on loopback
//! p2p-interop-peer listen [OPTION…]       gives every stream back what it brings
//! p2p-interop-peer connect ID [OPTION…]   sends a text on a stream and checks that it comes back
//! p2p-interop-peer resolve ID [OPTION…]   prints what the look-ups know, until one knows something
//! p2p-interop-peer browse [OPTION…]       prints who is found and lost on the local network
//!
//! --lookup KIND        where to look others up and to be found: mdns, dht, pkarr; or dns, which is asked alone; may be
//!                      repeated
//! --bootstrap IP:PORT  a node of the DHT to begin with; may be repeated
//! --server URL         the pkarr server
//! --origin DOMAIN      the domain of records in the DNS
//! --name-server IP:PORT  who is asked for them
//! --bind IP:PORT       what to bind; may be repeated; else all interfaces
//! --secret HEX         the key, 32 bytes; else a new one
//! --user-data TEXT     text in the node's record
//! --alpn TEXT          the protocol; else p2p-interop/1
//! --message TEXT       what `connect` sends; else 100,000 bytes
//! --timeout SECONDS    how long `connect` and `resolve` try; else 30
//! ```
//!
//! It prints lines `word value…`: `bootstrap ADDRESS`, `id ID`, `bound ADDRESS`, `ready`, `accepted ID`, `echoed BYTES`,
//! `found ID [ADDRESS…] [relay=URL…] [user-data=TEXT]`, `lost ID`. `dht`, `listen` and `browse` run until they are
//! killed; the others end with status 0 when they have succeeded, and 1, with a line on stderr, when they have not.

use std::{collections::HashMap, error::Error, io::Write, process::ExitCode, time::Duration};

use iroh::{
    Endpoint, EndpointId, RelayMode, SecretKey, TransportAddr,
    address_lookup::{AddrFilter, AddressLookupBuilder, DnsAddressLookup, EndpointInfo, PkarrPublisher, PkarrResolver},
    dns::DnsResolver,
    endpoint::{Connection, PortmapperConfig, presets},
};
use iroh_mainline_address_lookup::DhtAddressLookup;
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};
use n0_future::StreamExt;
use n0_mainline::{DhtBuilder, Testnet};

type Failure = Box<dyn Error + Send + Sync>;
type Options = HashMap<String, Vec<String>>;

const ALPN: &str = "p2p-interop/1";
const MAX_ECHO_BYTES: usize = 16 * 1024 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("p2p-interop-peer: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let (words, options) = arguments()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let limit = match one(&options, "timeout") {
        Some(text) => Duration::from_secs(text.parse()?),
        None => Duration::from_secs(30),
    };
    match words[..] {
        ["dht", count] => dht(count.parse()?).await,
        ["listen"] => listen(&options).await,
        ["browse"] => browse(&options).await,
        ["connect", id] => tokio::time::timeout(limit, connect(id.parse()?, &options)).await?,
        ["resolve", id] => tokio::time::timeout(limit, resolve(id.parse()?, &options)).await?,
        _ => Err("usage: p2p-interop-peer dht COUNT | listen | browse | connect ID | resolve ID, then options".into()),
    }
}

/// The words, and the options with their values.
fn arguments() -> Result<(Vec<String>, Options), Failure> {
    const KNOWN: [&str; 11] = [
        "lookup",
        "bootstrap",
        "server",
        "origin",
        "name-server",
        "bind",
        "secret",
        "user-data",
        "alpn",
        "message",
        "timeout",
    ];
    let mut words = Vec::new();
    let mut options = Options::new();
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let Some(name) = argument.strip_prefix("--") else {
            words.push(argument);
            continue;
        };
        if !KNOWN.contains(&name) {
            return Err(format!("there is no option --{name}").into());
        }
        let value = given.next().ok_or_else(|| format!("--{name} has no value"))?;
        options.entry(name.to_owned()).or_default().push(value);
    }
    Ok((words, options))
}

fn all<'a>(options: &'a Options, name: &str) -> &'a [String] {
    options.get(name).map_or(&[], Vec::as_slice)
}

fn one<'a>(options: &'a Options, name: &str) -> Option<&'a str> {
    all(options, name).last().map(String::as_str)
}

/// The value of an option that a look-up cannot do without.
fn needed<'a>(options: &'a Options, name: &str, lookup: &str) -> Result<&'a str, Failure> {
    one(options, name).ok_or_else(|| format!("--lookup {lookup} needs --{name}").into())
}

/// At once, also into a pipe.
fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().ok();
}

async fn dht(count: usize) -> Result<(), Failure> {
    let network = Testnet::new(count).await?;
    for node in &network.nodes {
        say(&format!("bootstrap 127.0.0.1:{}", node.info().await?.local_addr().port()));
    }
    say("ready");
    std::future::pending().await
}

/// The endpoint with its look-ups, and that of the local network, which also tells who is there.
async fn bind(options: &Options) -> Result<(Endpoint, Option<MdnsAddressLookup>), Failure> {
    let mut builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .alpns(vec![one(options, "alpn").unwrap_or(ALPN).into()]);
    if let Some(secret) = one(options, "secret") {
        builder = builder.secret_key(secret.parse::<SecretKey>()?);
    }
    if let Some(text) = one(options, "user-data") {
        builder = builder.user_data_for_address_lookup(text.parse()?);
    }
    let addresses = all(options, "bind");
    if !addresses.is_empty() {
        builder = builder.clear_ip_transports();
    }
    for address in addresses {
        builder = builder.bind_addr(address.as_str())?;
    }
    let endpoint = builder.bind().await?;
    let services = endpoint.address_lookup()?;
    let mut mdns = None;
    for lookup in all(options, "lookup") {
        match lookup.as_str() {
            "mdns" => {
                let service = MdnsAddressLookup::builder().build(endpoint.id())?;
                services.add(service.clone());
                mdns = Some(service);
            }
            "dht" => {
                let bootstrap = all(options, "bootstrap");
                if bootstrap.is_empty() {
                    return Err("--lookup dht needs --bootstrap: no node of the public DHT is asked".into());
                }
                let mut nodes = DhtBuilder::default();
                nodes.bootstrap(bootstrap);
                let service = DhtAddressLookup::builder()
                    .dht_builder(nodes)
                    .secret_key(endpoint.secret_key().clone())
                    .addr_filter(AddrFilter::unfiltered())
                    .build()?;
                services.add(service);
            }
            "pkarr" => {
                let server = format!("{}/pkarr", needed(options, "server", "pkarr")?.trim_end_matches('/'));
                let publisher = PkarrPublisher::builder(server.parse()?).addr_filter(AddrFilter::unfiltered());
                services.add(publisher.into_address_lookup(&endpoint)?);
                services.add(PkarrResolver::builder(server.parse()?).into_address_lookup(&endpoint)?);
            }
            "dns" => {
                let origin = needed(options, "origin", "dns")?.to_owned();
                let resolver = DnsResolver::with_nameserver(needed(options, "name-server", "dns")?.parse()?);
                services.add(DnsAddressLookup::builder(origin).dns_resolver(resolver).build());
            }
            other => return Err(format!("there is no look-up {other}; known are mdns, dht, pkarr, dns").into()),
        }
    }
    say(&format!("id {}", endpoint.id()));
    for socket in endpoint.bound_sockets() {
        say(&format!("bound {socket}"));
    }
    Ok((endpoint, mdns))
}

async fn listen(options: &Options) -> Result<(), Failure> {
    let (endpoint, _mdns) = bind(options).await?;
    say("ready");
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            match incoming.await {
                Ok(connection) => {
                    say(&format!("accepted {}", connection.remote_id()));
                    // It ends when the other side closes: who gets the last data is the one to do that.
                    while echo(&connection).await.is_ok() {}
                }
                Err(failure) => eprintln!("p2p-interop-peer: a handshake failed: {failure}"),
            }
        });
    }
    Ok(())
}

async fn echo(connection: &Connection) -> Result<(), Failure> {
    let (mut send, mut receive) = connection.accept_bi().await?;
    let bytes = receive.read_to_end(MAX_ECHO_BYTES).await?;
    send.write_all(&bytes).await?;
    send.finish()?;
    say(&format!("echoed {}", bytes.len()));
    Ok(())
}

async fn connect(id: EndpointId, options: &Options) -> Result<(), Failure> {
    let (endpoint, _mdns) = bind(options).await?;
    let connection = endpoint.connect(id, one(options, "alpn").unwrap_or(ALPN).as_bytes()).await?;
    let message = match one(options, "message") {
        Some(text) => text.as_bytes().to_vec(),
        None => (0..100_000_u32).map(|i| i.to_le_bytes()[0]).collect(),
    };
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&message).await?;
    send.finish()?;
    let back = receive.read_to_end(MAX_ECHO_BYTES).await?;
    if back != message {
        return Err(format!("sent {} bytes, and {} others came back", message.len(), back.len()).into());
    }
    say(&format!("echoed {}", back.len()));
    connection.close(0_u32.into(), b"done");
    endpoint.close().await;
    Ok(())
}

async fn resolve(id: EndpointId, options: &Options) -> Result<(), Failure> {
    let (endpoint, _mdns) = bind(options).await?;
    loop {
        let mut answers = Box::pin(endpoint.address_lookup()?.resolve(id));
        while let Some(answer) = answers.next().await {
            if let Ok(Ok(item)) = answer {
                say(&found(item.endpoint_info()));
                return Ok(());
            }
        }
        // Nobody knows it yet.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn browse(options: &Options) -> Result<(), Failure> {
    let (_endpoint, mdns) = bind(options).await?;
    let mut events = mdns.ok_or("browse needs --lookup mdns")?.subscribe().await;
    say("ready");
    while let Some(event) = events.next().await {
        match event {
            DiscoveryEvent::Discovered { endpoint_info, .. } => say(&found(&endpoint_info)),
            DiscoveryEvent::Expired { endpoint_id } => say(&format!("lost {endpoint_id}")),
            _ => {}
        }
    }
    Ok(())
}

fn found(info: &EndpointInfo) -> String {
    let mut line = format!("found {}", info.endpoint_id);
    for address in info.data.addrs() {
        match address {
            TransportAddr::Ip(socket) => line += &format!(" {socket}"),
            TransportAddr::Relay(url) => line += &format!(" relay={url}"),
            _ => {}
        }
    }
    if let Some(text) = info.data.user_data() {
        line += &format!(" user-data={text}");
    }
    line
}
