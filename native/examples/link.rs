//! What `bench/fidelity` compares with, in iroh alone: two endpoints with the defaults of the library, a known address, no
//! relay, and for each repetition new ones with new keys. `link serve` prints the id and port of one, plays the answering
//! part, and prints those of the next; `link measure` reads `ID ADDRESS` from its standard input, plays the asking part
//! and prints what it took as a line of JSON, times in milliseconds, and reads on. With `ID ADDRESS timeline` the window
//! is written down while the bulk is sent. `npm run natlab -- --only links` runs them over emulated links. Both go on for
//! many repetitions because the first of a process takes longer: half a millisecond to connect.

use std::{
    cell::RefCell,
    error::Error,
    fmt::Write as _,
    future::Future,
    io::{BufRead as _, Write as _, stdin, stdout},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr, EndpointId, RelayMode, TransportAddr,
    endpoint::{Connection, FrameStats, PortmapperConfig, RecvStream, SendStream, presets},
};

type Failure = Box<dyn Error + Send + Sync>;

const ALPN: &[u8] = b"fidelity";
const SMALL: usize = 100;
const REQUESTS: usize = 60;
const BULK: usize = 1_048_576;
const DOWN: usize = 102_400;
const TIMELINE_STEP: Duration = Duration::from_millis(10);

async fn bind() -> Result<Endpoint, Failure> {
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .alpns(vec![ALPN.to_vec()])
        .clear_ip_transports()
        .bind_addr("0.0.0.0:0")?
        .bind()
        .await?;
    Ok(endpoint)
}

/// Reads to the end: how many bytes there were.
async fn drain(receive: &mut RecvStream) -> Result<usize, Failure> {
    let mut chunks = [const { Bytes::new() }; 32];
    let mut length = 0;
    while let Some(count) = receive.read_many_chunks(&mut chunks).await? {
        length += chunks[..count].iter().map(Bytes::len).sum::<usize>();
    }
    Ok(length)
}

async fn drain_exactly(receive: &mut RecvStream, expected: usize) -> Result<(), Failure> {
    let length = drain(receive).await?;
    if length == expected { Ok(()) } else { Err(format!("{length} bytes came, and not {expected}").into()) }
}

/// So many requests on the next stream, and its end.
async fn answer(connection: &Connection, requests: usize) -> Result<(), Failure> {
    let (mut send, mut receive) = connection.accept_bi().await?;
    let mut small = [0; SMALL];
    for _ in 0..requests {
        receive.read_exact(&mut small).await?;
        send.write_all(&small).await?;
    }
    drain_exactly(&mut receive, 0).await?;
    send.finish()?;
    Ok(())
}

async fn serve_once(endpoint: &Endpoint) -> Result<(), Failure> {
    let incoming = endpoint.accept().await.ok_or("the endpoint is closed")?;
    let connection = incoming.accept()?.await?;
    answer(&connection, 1).await?;
    answer(&connection, REQUESTS).await?;
    for _ in 0..2 {
        let mut upload = connection.accept_uni().await?;
        drain_exactly(&mut upload, BULK).await?;
        let mut acknowledgement = connection.open_uni().await?;
        acknowledgement.write_all(&[1]).await?;
        acknowledgement.finish()?;
    }
    let (mut send, mut receive) = connection.accept_bi().await?;
    drain_exactly(&mut receive, SMALL).await?;
    send.write_all(&vec![0; DOWN]).await?;
    send.finish()?;
    connection.closed().await;
    Ok(())
}

async fn serve() -> Result<(), Failure> {
    loop {
        let endpoint = bind().await?;
        println!("{} {}", endpoint.id(), endpoint.bound_sockets()[0].port());
        stdout().flush()?;
        // The asking side tells how it ended.
        let _ = serve_once(&endpoint).await;
        endpoint.close().await;
    }
}

async fn request(send: &mut SendStream, receive: &mut RecvStream) -> Result<(), Failure> {
    let mut small = [0; SMALL];
    send.write_all(&small).await?;
    receive.read_exact(&mut small).await?;
    Ok(())
}

async fn first(connection: &Connection) -> Result<(SendStream, RecvStream), Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    request(&mut send, &mut receive).await?;
    Ok((send, receive))
}

async fn upload(connection: &Connection, bytes: &[u8]) -> Result<(), Failure> {
    let mut stream = connection.open_uni().await?;
    stream.write_all(bytes).await?;
    stream.finish()?;
    let mut acknowledgement = connection.accept_uni().await?;
    drain_exactly(&mut acknowledgement, 1).await
}

async fn download(connection: &Connection) -> Result<(), Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&[0; SMALL]).await?;
    send.finish()?;
    drain_exactly(&mut receive, DOWN).await
}

fn ms(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}

/// What a step took, as a member of the line, and what came of it.
async fn timed<T>(
    line: &mut String,
    name: &str,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let start = Instant::now();
    let result = step.await.map_err(|error| format!("{name}: {error}"))?;
    write!(line, r#","{name}":{}"#, ms(start.elapsed()))?;
    Ok(result)
}

fn frames(stats: &FrameStats) -> String {
    format!(
        r#"{{"acks":{},"path_acks":{},"immediate_ack":{},"max_stream_data":{},"stream":{},"ping":{},"path_challenge":{},"path_response":{}}}"#,
        stats.acks,
        stats.path_acks,
        stats.immediate_ack,
        stats.max_stream_data,
        stats.stream,
        stats.ping,
        stats.path_challenge,
        stats.path_response
    )
}

/// iroh's own statistics, as a member of the line.
fn add_stats(line: &mut String, name: &str, connection: &Connection) -> Result<(), Failure> {
    let all = connection.stats();
    let paths: Vec<String> = connection
        .paths()
        .iter()
        .map(|path| {
            let stats = path.stats();
            format!(
                r#"{{"rtt_ms":{},"cwnd":{},"mtu":{},"lost":{},"cong":{},"spurious":{},"probes":{},"lost_probes":{},"blackholes":{}}}"#,
                ms(stats.rtt),
                stats.cwnd,
                stats.current_mtu,
                stats.lost_packets,
                stats.congestion_events,
                stats.spurious_congestion_events,
                stats.sent_plpmtud_probes,
                stats.lost_plpmtud_probes,
                stats.black_holes_detected
            )
        })
        .collect();
    write!(
        line,
        r#","{name}":{{"sent":{},"lost":{},"lost_bytes":{},"tx_dgrams":{},"tx_bytes":{},"rx_dgrams":{},"rx_bytes":{},"frame_tx":{},"frame_rx":{},"paths":[{}]}}"#,
        all.sent_packets,
        all.lost_packets,
        all.lost_bytes,
        all.udp_tx.datagrams,
        all.udp_tx.bytes,
        all.udp_rx.datagrams,
        all.udp_rx.bytes,
        frames(&all.frame_tx),
        frames(&all.frame_rx),
        paths.join(",")
    )?;
    Ok(())
}

/// Writes down time, window, losses and round trip of the path, until it is dropped.
async fn watch(connection: &Connection, points: &RefCell<Vec<String>>) {
    let start = Instant::now();
    loop {
        for path in connection.paths().iter().take(1) {
            let stats = path.stats();
            let at = ms(start.elapsed());
            points.borrow_mut().push(format!("[{at},{},{},{}]", stats.cwnd, stats.lost_packets, ms(stats.rtt)));
        }
        tokio::time::sleep(TIMELINE_STEP).await;
    }
}

/// The line without its braces: what was measured, as far as the connection lived.
async fn measure(endpoint: &Endpoint, to: EndpointAddr, with_timeline: bool, line: &mut String) -> Result<(), Failure> {
    let connect = async { Ok(endpoint.connect(to, ALPN).await?) };
    let connection = timed(line, "connect", connect).await?;
    let (mut first_send, mut first_receive) = timed(line, "first", first(&connection)).await?;
    // Its end is not waited for: a round trip more, and the probes of the path's MTU would meet other requests.
    first_send.finish()?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let mut times = Vec::new();
    for _ in 0..REQUESTS {
        let start = Instant::now();
        request(&mut send, &mut receive).await?;
        times.push(ms(start.elapsed()));
    }
    write!(line, r#","rtt":[{}]"#, times.join(","))?;
    send.finish()?;
    drain_exactly(&mut first_receive, 0).await?;
    add_stats(line, "after_rtt", &connection)?;
    let bytes = vec![0; BULK];
    let points = RefCell::default();
    let bulk = async {
        timed(line, "cold", upload(&connection, &bytes)).await?;
        add_stats(line, "after_cold", &connection)?;
        timed(line, "warm", upload(&connection, &bytes)).await?;
        add_stats(line, "after_warm", &connection)
    };
    if with_timeline {
        tokio::select! {
            result = bulk => result?,
            () = watch(&connection, &points) => {}
        }
    } else {
        bulk.await?;
    }
    timed(line, "down100k", download(&connection)).await?;
    connection.close(0_u32.into(), b"");
    if with_timeline {
        write!(line, r#","timeline_ms_cwnd_lost_srtt":[{}]"#, points.take().join(","))?;
    }
    Ok(())
}

async fn measure_all() -> Result<(), Failure> {
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let (id, address): (EndpointId, SocketAddr) = match words[..] {
            [id, address, ..] => (id.parse()?, address.parse()?),
            _ => return Err(format!("{line}: not an id and an address").into()),
        };
        let endpoint = bind().await?;
        let to = EndpointAddr::from_parts(id, [TransportAddr::Ip(address)]);
        let mut result = String::new();
        if let Err(error) = measure(&endpoint, to, words.contains(&"timeline"), &mut result).await {
            write!(result, r#","failed":{:?}"#, error.to_string())?;
        }
        println!("{{{}}}", result.trim_start_matches(','));
        stdout().flush()?;
        endpoint.close().await;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve"] => serve().await,
        ["measure"] => measure_all().await,
        _ => Err("usage: link serve | link measure".into()),
    }
}
