//! The device before and after, forecasts, and the order of a switch, on devices that are made up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xdev_llm::{
    Client, Device, DeviceKind, DeviceSource, ErrorKind, LoadRequest, Overrides, Server, Settings, Unload,
    Verdict,
};
use xdev_llm_mock::{Mock, Model, Options, Personality};

use super::host::environment;
use super::memory::of;

const GB: u64 = 1 << 30;

/// A card of 12 GB of which the mock's models take their part, beside what another program holds.
/// It takes `later` bytes more as soon as no model is there.
fn card(mock: Arc<Mock>, other_program: Arc<AtomicU64>, later: Arc<AtomicU64>) -> DeviceSource {
    DeviceSource::new(move || {
        let models = mock.models();
        let taken: u64 = mock
            .instances()
            .iter()
            .filter_map(|instance| models.iter().find(|model| model.id == instance.model))
            .map(|model| model.size_bytes)
            .sum();
        let more = if taken == 0 { later.load(Ordering::SeqCst) } else { 0 };
        let free_bytes = (12 * GB).saturating_sub(taken + more + other_program.load(Ordering::SeqCst));
        vec![Device {
            name: "Made-up Card".into(),
            vendor: None,
            total_bytes: 12 * GB,
            free_bytes,
            kind: DeviceKind::Gpu,
            index: 0,
        }]
    })
}

struct Bench {
    mock: Arc<Mock>,
    server: Server,
    other_program: Arc<AtomicU64>,
    later: Arc<AtomicU64>,
}

/// A server with models of 4 GB and 3 GB on that card.
async fn bench(personality: Personality) -> Bench {
    let mut options = Options::from(personality);
    options.models =
        vec![Model::new("one").unloaded().size(4 * GB), Model::new("two").unloaded().size(3 * GB)];
    let mock = Arc::new(Mock::start_with(options).unwrap());
    let other_program = Arc::new(AtomicU64::new(0));
    let later = Arc::new(AtomicU64::new(0));
    let devices = card(Arc::clone(&mock), Arc::clone(&other_program), Arc::clone(&later));
    let settings = Settings::load(&Overrides::default(), &environment()).unwrap();
    let client = Client::with_devices(settings, Some(devices)).unwrap();
    let server = client.server(Some(&mock.url())).await.unwrap();
    Bench { mock, server, other_program, later }
}

#[tokio::test]
async fn a_load_and_an_unload_tell_the_device_before_and_after() {
    let Bench { server, .. } = bench(Personality::LmStudio04).await;
    let loaded = server.load(of("one")).finish().await.unwrap();
    let device = loaded.device.unwrap();
    assert_eq!((device.free_bytes_before, device.free_bytes_after), (12 * GB, 8 * GB));
    assert_eq!((device.name.as_str(), device.is_back), ("Made-up Card", None));
    let gone = server.unload(Unload::All).finish().await.unwrap().device.unwrap();
    assert_eq!((gone.free_bytes_before, gone.free_bytes_after), (8 * GB, 12 * GB));
    // LM Studio does not say how much a model holds.
    assert_eq!(gone.is_back, None);
}

#[tokio::test]
async fn what_the_server_said_it_held_must_come_back() {
    let Bench { server, later, .. } = bench(Personality::Ollama).await;
    server.load(of("one")).finish().await.unwrap();
    let gone = server.unload(Unload::All).finish().await.unwrap();
    assert!(gone.freed_bytes.unwrap() >= 4 * GB);
    assert_eq!(gone.device.unwrap().is_back, Some(true));
    // Another program takes what came free.
    server.load(of("one")).finish().await.unwrap();
    later.store(4 * GB, Ordering::SeqCst);
    let gone = server.unload(Unload::All).finish().await.unwrap();
    assert_eq!(gone.device.unwrap().is_back, Some(false));
}

#[tokio::test]
async fn a_switch_is_side_by_side_only_where_both_fit() {
    for (taken, side_by_side) in [(0, true), (6 * GB, false)] {
        let Bench { mock, server, other_program, .. } = bench(Personality::LmStudio04).await;
        server.load(of("one")).finish().await.unwrap();
        other_program.store(taken, Ordering::SeqCst);
        mock.clear();
        let switched = server.switch(of("two")).finish().await.unwrap();
        assert_eq!(switched.side_by_side, side_by_side);
        let changes = mock.requests().into_iter().filter(|request| request.method == "POST");
        let first = changes.map(|request| request.path).next().unwrap();
        let expected = if side_by_side { "/api/v1/models/load" } else { "/api/v1/models/unload" };
        assert_eq!(first, expected, "with {taken} bytes taken");
        let left = server.loaded().await.unwrap();
        assert_eq!(left.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["two"]);
    }
}

#[tokio::test]
async fn a_switch_that_fails_brings_the_old_model_back() {
    let Bench { mock, server, other_program, .. } = bench(Personality::LmStudio04).await;
    server.load(of("one")).finish().await.unwrap();
    other_program.store(6 * GB, Ordering::SeqCst);
    // "one" fits into what it leaves, and "two" fails at the server.
    mock.set_models(vec![Model::new("one").size(4 * GB), Model::new("two").unloaded().size(40 * GB)]);
    mock.change_options(|options| options.vram_total_bytes = Some(12 * GB));
    let error = server.switch(of("two")).finish().await.unwrap_err();
    assert!(error.hint().contains("Loaded again: one"), "{error} {}", error.hint());
    assert_eq!(server.loaded().await.unwrap()[0].id, "one");
}

#[tokio::test]
async fn a_forecast_says_fits_evicts_or_spills() {
    let Bench { server, other_program, .. } = bench(Personality::LmStudio04).await;
    let fits = server.forecast("one", Some(4096)).await.unwrap();
    assert_eq!(fits.verdict, Verdict::Fits, "{fits}");
    server.load(of("two")).finish().await.unwrap();
    other_program.store(5 * GB, Ordering::SeqCst);
    let evicts = server.forecast("one", Some(4096)).await.unwrap();
    assert_eq!(evicts.verdict, Verdict::Evicts { models: vec!["two".into()] }, "{evicts}");
    other_program.store(10 * GB, Ordering::SeqCst);
    let spills = server.forecast("one", Some(4096)).await.unwrap();
    assert!(matches!(spills.verdict, Verdict::Spills { .. }), "{spills}");
    assert_eq!(spills.device.unwrap().name, "Made-up Card");
    // It loads nothing.
    assert_eq!(server.loaded().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_forecast_reads_what_ollama_tells_of_the_model() {
    let Bench { server, .. } = bench(Personality::Ollama).await;
    let [short, long] = [2048, 8192].map(|length| (length, server.clone()));
    let need = async |(length, server): (u32, Server)| {
        server.forecast("one", Some(length)).await.unwrap().need.unwrap()
    };
    let (short, long) = (need(short).await, need(long).await);
    assert!(!short.is_estimate, "{}", short.basis);
    assert_eq!(long.kv_bytes, 4 * short.kv_bytes, "the cache grows with the context");
}

#[tokio::test]
async fn a_model_that_could_not_go_again_is_not_loaded_where_it_must() {
    let mock = Mock::start(Personality::LlamaCpp);
    let server = super::host::client().server(Some(&mock.url())).await.unwrap();
    let request = LoadRequest { must_unload: true, ..LoadRequest::default() };
    let error = server.load(request).finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(server.load(LoadRequest::default()).finish().await.unwrap().was_loaded);
}
