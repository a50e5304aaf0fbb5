//! iroh alone, for `bench/iroh.mjs`: what the native door is measured against. `pair serve` prints its id and address
//! and answers; `pair drive ID ADDRESS` reads lines `work count size flight` and prints how long each took, in
//! microseconds; for `sequential` and `connect` the time of every single one.

use std::{
    error::Error,
    io::{BufRead, Write, stdin, stdout},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr, EndpointId, RelayMode, TransportAddr,
    endpoint::{Connection, PortmapperConfig, QuicTransportConfig, RecvStream, SendStream, VarInt, presets},
};

type Failure = Box<dyn Error + Send + Sync>;

const ALPN: &[u8] = b"p2p-bench/pair";
const BULK: u8 = 0x62;

async fn bind() -> Result<Endpoint, Failure> {
    let streams = VarInt::from_u32(1024);
    let transport = QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(streams)
        .max_concurrent_uni_streams(streams)
        .build();
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .transport_config(transport)
        .alpns(vec![ALPN.to_vec()])
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?
        .bind()
        .await?;
    Ok(endpoint)
}

/// Reads to the end: the first byte, and how many there were.
async fn drain(receive: &mut RecvStream) -> Result<(u8, usize), Failure> {
    let mut chunks = [const { Bytes::new() }; 32];
    let (mut first, mut length) = (0, 0);
    while let Some(count) = receive.read_many_chunks(&mut chunks).await? {
        if length == 0 {
            first = chunks[..count].iter().find_map(|chunk| chunk.first().copied()).unwrap_or_default();
        }
        length += chunks[..count].iter().map(Bytes::len).sum::<usize>();
    }
    Ok((first, length))
}

async fn answer(mut send: SendStream, mut receive: RecvStream) -> Result<(), Failure> {
    let (first, length) = drain(&mut receive).await?;
    let size = if first == BULK { 1 } else { length };
    send.write_chunk(Bytes::from(vec![5; size])).await?;
    send.finish()?;
    Ok(())
}

async fn serve() -> Result<(), Failure> {
    let endpoint = bind().await?;
    let address = endpoint.bound_sockets()[0];
    println!("{} {address}", endpoint.id());
    stdout().flush()?;
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let Ok(accepting) = incoming.accept() else { return };
            let Ok(connection) = accepting.await else { return };
            while let Ok((send, receive)) = connection.accept_bi().await {
                tokio::spawn(answer(send, receive));
            }
        });
    }
    Ok(())
}

async fn request(connection: &Connection, size: usize) -> Result<(), Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_chunk(Bytes::from(vec![5; size])).await?;
    send.finish()?;
    let (_, length) = drain(&mut receive).await?;
    if length == size { Ok(()) } else { Err("the answer is not what was sent".into()) }
}

async fn bulk(connection: &Connection, count: usize, size: usize) -> Result<(), Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_chunk(Bytes::from_static(&[BULK])).await?;
    for _ in 0..count {
        send.write_chunk(Bytes::from(vec![7; size])).await?;
    }
    send.finish()?;
    drain(&mut receive).await?;
    Ok(())
}

async fn flights(connection: &Connection, count: usize, size: usize, flight: usize) -> Result<(), Failure> {
    let left = Arc::new(AtomicI64::new(i64::try_from(count)?));
    let lanes: Vec<_> = (0..flight)
        .map(|_| {
            let (connection, left) = (connection.clone(), Arc::clone(&left));
            tokio::spawn(async move {
                while left.fetch_sub(1, Ordering::Relaxed) > 0 {
                    request(&connection, size).await?;
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    for lane in lanes {
        lane.await??;
    }
    Ok(())
}

async fn drive(id: EndpointId, address: SocketAddr) -> Result<(), Failure> {
    let endpoint = bind().await?;
    let target = EndpointAddr::from_parts(id, [TransportAddr::Ip(address)]);
    let connection = endpoint.connect(target.clone(), ALPN).await?;
    for line in stdin().lock().lines() {
        let line = line?;
        let mut words = line.split(' ');
        let work = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
        let (count, size, flight) = (number(), number(), number());
        let mut times = Vec::new();
        let start = Instant::now();
        match work {
            "connect" => {
                for _ in 0..count {
                    let start = Instant::now();
                    let other = endpoint.connect(target.clone(), ALPN).await?;
                    times.push(start.elapsed());
                    other.close(0_u32.into(), b"");
                }
            }
            "sequential" => {
                for _ in 0..count {
                    let start = Instant::now();
                    request(&connection, size).await?;
                    times.push(start.elapsed());
                }
            }
            "flights" => flights(&connection, count, size, flight).await?,
            "bulk" => bulk(&connection, count, size).await?,
            _ => return Err(format!("there is no work {work}").into()),
        }
        if times.is_empty() {
            times.push(start.elapsed());
        }
        let texts: Vec<String> = times.iter().map(|time| time.as_micros().to_string()).collect();
        println!("{}", texts.join(" "));
        stdout().flush()?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve"] => serve().await,
        ["drive", id, address] => drive(id.parse()?, address.parse()?).await,
        _ => Err("usage: pair serve | pair drive ID ADDRESS".into()),
    }
}
