//! The laws of the layers and of trust, on made-up environments, and the schema of the config file.

use std::fs;
use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;

use super::file::ConfigFile;
use super::*;
use crate::chat::Reasoning;
use crate::error::{Error, ErrorKind};

/// A user with a home and a project, in folders of their own.
struct Place {
    folder: TempDir,
    environment: Environment,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let below = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let environment = Environment {
            variables: [].into(),
            current_dir: below("project"),
            config_dir: below("config"),
            state_dir: below("state"),
            data_dir: below("data"),
        };
        Place { folder, environment }
    }

    fn user(self, text: &str) -> Self {
        fs::write(self.environment.config_dir.join("config.toml"), text).unwrap();
        self
    }

    fn project(self, text: &str) -> Self {
        fs::write(self.environment.current_dir.join("xdev-llm.toml"), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self) -> Settings {
        Settings::load(&Overrides::default(), &self.environment).unwrap()
    }

    fn error(&self) -> Error {
        Settings::load(&Overrides::default(), &self.environment).unwrap_err()
    }
}

fn key(settings: &Settings, url: &str) -> Option<String> {
    settings.key_for(url).unwrap().map(|key| key.expose_secret().to_owned())
}

fn flag_server(place: &Place, server: &str) -> Settings {
    let overrides = Overrides { server: Some(server.to_owned()), ..Overrides::default() };
    Settings::load(&overrides, &place.environment).unwrap()
}

/// Every setting that more than one kind of layer can set, with a value for each of four layers.
const LAYERED: [(&str, [&str; 4]); 7] = [
    ("server", ["http://a", "http://b", "http://c", "http://d"]),
    ("model", ["a", "b", "c", "d"]),
    ("preset", ["a", "b", "c", "d"]),
    ("system", ["a", "b", "c", "d"]),
    ("timeout", ["11", "12", "13", "14"]),
    ("deadline", ["21", "22", "23", "24"]),
    ("concurrency", ["1", "2", "3", "5"]),
];

#[test]
fn each_layer_beats_the_next_for_every_subset_of_layers() {
    for (name, values) in LAYERED {
        for subset in 0..16_u32 {
            let has = |layer: u32| subset & (1 << layer) != 0;
            let number = |layer: usize| values[layer].parse::<u32>().ok();
            let line = |layer: usize| match number(layer) {
                Some(number) => format!("{name} = {number}"),
                None => format!("{name} = \"{}\"", values[layer]),
            };
            let mut overrides = Overrides::default();
            if has(0) {
                let text = Some(values[0].to_owned());
                match name {
                    "server" => overrides.server = text,
                    "model" => overrides.model = text,
                    "preset" => overrides.preset = text,
                    "system" => overrides.system = text,
                    "timeout" => overrides.timeout = number(0),
                    "deadline" => overrides.deadline = number(0),
                    _ => overrides.concurrency = number(0),
                }
            }
            let mut place = Place::new();
            if has(1) {
                place = place.variable(&format!("XDEV_LLM_{}", name.to_uppercase()), values[1]);
            }
            if has(2) {
                place = place.project(&line(2));
            }
            if has(3) {
                place = place.user(&line(3));
            }
            let settings = Settings::load(&overrides, &place.environment).unwrap();
            let shown = settings.show().into_iter().find(|shown| shown.key == name).unwrap();
            let winner = (0..4).find(|layer| has(*layer));
            match winner {
                Some(layer) => assert_eq!(shown.value, values[layer as usize], "{name} {subset:04b}"),
                None => assert_eq!(shown.origin, Origin::BuiltIn),
            }
            let is_right = match winner {
                Some(0) => matches!(shown.origin, Origin::Flag(flag) if flag == name),
                Some(1) => {
                    matches!(shown.origin, Origin::Environment(variable) if variable.ends_with(&name.to_uppercase()))
                }
                Some(2) => matches!(&shown.origin, Origin::Project(path) if path.ends_with("xdev-llm.toml")),
                Some(_) => matches!(&shown.origin, Origin::User(path) if path.ends_with("config.toml")),
                None => matches!(shown.origin, Origin::BuiltIn),
            };
            assert!(is_right, "{name} {subset:04b} {}", shown.origin);
        }
    }
}

#[test]
fn reasoning_and_the_engine_have_layers_too() {
    let place = Place::new()
        .user("reasoning = \"low\"\n[engine]\ncommand = \"mine\"\nmodel = \"m.gguf\"\nidle = 90")
        .project("reasoning = \"medium\"\n[engine]\nidle = 60");
    let settings = place.load();
    assert_eq!(*settings.reasoning, Reasoning::Medium);
    assert_eq!(settings.engine.command.as_deref(), Some("mine"));
    assert_eq!(settings.engine.model.as_deref(), Some(&*place.environment.config_dir.join("m.gguf")));
    assert_eq!(settings.engine.idle.as_secs(), 60);
    let place = place
        .variable("XDEV_LLM_REASONING", "high")
        .variable("XDEV_LLM_ENGINE", "/bin/e")
        .variable("XDEV_LLM_ENGINE_MODEL", "/m.gguf");
    let settings = place.load();
    assert_eq!(*settings.reasoning, Reasoning::High);
    assert_eq!(settings.engine.command.origin, Origin::Environment("XDEV_LLM_ENGINE"));
    assert_eq!(settings.engine.model.as_deref(), Some(Path::new("/m.gguf")));
    let overrides = Overrides {
        reasoning: Some(Reasoning::Off),
        engine_model: Some("/f.gguf".to_owned()),
        ..Overrides::default()
    };
    let settings = Settings::load(&overrides, &place.environment).unwrap();
    assert_eq!((*settings.reasoning, settings.reasoning.origin), (Reasoning::Off, Origin::Flag("reasoning")));
    assert_eq!(settings.engine.model.as_deref(), Some(Path::new("/f.gguf")));
}

#[test]
fn built_in_values_hold_where_nothing_is_said() {
    let settings = Place::new().load();
    assert_eq!((settings.model.as_str(), settings.preset.as_str()), ("auto", "balanced"));
    assert_eq!((settings.timeout.as_secs(), *settings.deadline), (120, None));
    assert_eq!((*settings.max_tokens_limit, *settings.concurrency), (8192, 4));
    assert_eq!(settings.engine.idle.as_secs(), 300);
    assert_eq!(settings.server_choice().unwrap(), ServerChoice::None);
    assert!(settings.show().iter().all(|shown| shown.origin == Origin::BuiltIn));
}

#[test]
fn the_servers_own_variables_are_the_weakest_layer_in_a_fixed_order() {
    let place = Place::new().variable("LMS_SERVER_HOST", "box:4321");
    let server = |place: &Place| place.load().server;
    assert_eq!(server(&place).as_deref(), Some("http://box:4321"));
    let place = place.variable("OLLAMA_HOST", "0.0.0.0");
    assert_eq!(server(&place).as_deref(), Some("http://127.0.0.1:11434"));
    let place = place.variable("OPENAI_BASE_URL", "http://open/v1");
    assert_eq!(server(&place).as_deref(), Some("http://open/v1"));
    assert_eq!(server(&place).origin, Origin::ServerVariable("OPENAI_BASE_URL"));
    let place = place.user("server = \"http://mine\"");
    assert_eq!(server(&place).as_deref(), Some("http://mine"));
}

#[test]
fn empty_texts_count_as_not_given() {
    let place = Place::new().user("model = \"mine\"").project("model = \"\"").variable("XDEV_LLM_MODEL", " ");
    let overrides = Overrides { model: Some(String::new()), ..Overrides::default() };
    assert_eq!(*Settings::load(&overrides, &place.environment).unwrap().model, "mine");
}

#[test]
fn a_bad_server_variable_is_named_and_harms_only_where_it_is_used() {
    let place = Place::new().variable("OLLAMA_HOST", "box:99999");
    assert!(place.error().message().starts_with("OLLAMA_HOST: Invalid server URL"), "{}", place.error());
    place.user("server = \"http://mine\"").load();
}

#[test]
fn wrong_files_are_told_with_file_line_key_and_cure() {
    for (text, line, words) in [
        ("model = \"a\"\ntimeuot = 5", 2, "unknown key `timeuot`. Did you mean `timeout`?"),
        ("\n\n[srevers.x]\nurl = \"http://h\"", 3, "unknown key `srevers`. Did you mean `servers`?"),
        (
            "[servers.x]\nurl = \"http://h\"\nmodle = \"m\"",
            3,
            "unknown key `servers.x.modle`. Did you mean `model`?",
        ),
        ("[engine]\nxyz = 1", 2, "unknown key `engine.xyz`."),
        ("timeout = 4", 1, "`timeout` is 4; it must be a whole number, 5 to 300."),
        ("timeout = 301", 1, "`timeout` is 301; it must be a whole number, 5 to 300."),
        ("timeout = 0x1_00_00", 1, "`timeout` is 65536"),
        ("timeout = \"60\"", 1, "`timeout` is of type string; it must be a whole number, 5 to 300."),
        ("deadline = -1", 1, "0 to 86400"),
        ("concurrency = 0", 1, "1 to 256"),
        ("max_tokens_limit = 0", 1, "1 to 16777216"),
        ("reasoning = \"hihg\"", 1, "Did you mean \"high\"?"),
        ("allow_hosts = [\"http://h\"]", 1, "`allow_hosts` has an entry that"),
        ("discovery_ports = [0]", 1, "1 to 65535"),
        ("[engine]\nidle = 0", 2, "`engine.idle` is 0"),
        ("[servers.x]\nurl = \"h:80\"", 2, "`servers.x.url` is no URL of a server. Invalid server URL"),
        ("[servers.x]\nkind = \"ollama\"", 1, "`servers.x` has no `url`."),
        ("[servers]\nx = \"http://h\"", 2, "`servers.x` is of type string; it must be a table."),
        ("[servers.\"a b\"]\nurl = \"http://h\"", 1, "the name of a server"),
        ("[servers.x]\nurl = \"http://h\"\napi = \"opneai\"", 3, "Did you mean \"openai\"?"),
        ("[servers.x]\nurl = \"http://h\"\napi_key_env = \"A\"\napi_key_file = \"b\"", 1, "both"),
        (
            "[[aliases.x]]\nmodel = \"m\"\n[[aliases.x]]\nmodle = \"m\"",
            4,
            "unknown key `aliases.x.modle`. Did you mean `model`?",
        ),
        ("[aliases.x]\nkeep_alive = -2", 2, "`aliases.x.keep_alive` is -2; it must be"),
        (
            "[aliases.x]\nmodel = \"m\"\nserver = \"wrok\"\n[servers.work]\nurl = \"http://h\"",
            3,
            "Did you mean the configured server \"work\"?",
        ),
        (
            "[[aliases.x]]\nmodel = \"m\"\n[[aliases.x]]\nmodel = \"m\"\nserver = \"h:80\"",
            5,
            "the server of `aliases.x`: Invalid server URL",
        ),
        (
            "[aliases]\nx = [{ model = \"m\" },\n{ server = \"http://h:99999\" }]",
            3,
            "the server of `aliases.x`: Invalid server URL",
        ),
        ("[aliases]\nx = \"m\"", 2, "`aliases.x` is of type string; it must be a table."),
        ("[aliases]\nx = []", 2, "`aliases.x` is empty; it needs a table at least."),
        ("[aliases]\nx = [{ model = \"m\" },\n\"m\"]", 3, "`aliases.x` has an entry of type string"),
        ("[aliases.auto]\nmodel = \"m\"", 1, "an alias cannot be called `auto`"),
        ("[aliases.\"a,b\"]\nmodel = \"m\"", 1, "the name of an alias"),
        ("[[servers.x]]\nurl = \"http://h\"", 1, "`servers.x` is of type array; it must be a table."),
        ("a = 1\nb = = 2", 2, "this is not TOML"),
        ("model = \"a\"\nmodel = \"b\"", 2, "this is not TOML"),
    ] {
        let error = Place::new().user(text).error();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        let message = error.message();
        assert!(message.contains(&format!("config.toml, line {line}: ")), "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
}

#[test]
fn wrong_variables_and_flags_are_named() {
    let error = |name: &str, value: &str| Place::new().variable(name, value).error().to_string();
    assert!(error("XDEV_LLM_TIMEOUT", "400").starts_with("XDEV_LLM_TIMEOUT: `timeout` is 400; it must be"));
    assert!(error("XDEV_LLM_TIMEOUT", "1m").starts_with("XDEV_LLM_TIMEOUT is no whole number; it must be"));
    assert!(error("XDEV_LLM_REASONING", "hihg").contains("Did you mean \"high\"?"));
    assert!(error("XDEV_LLM_CONFIG", "/missing.toml").contains("/missing.toml, which does not exist"));
    let overrides = Overrides { timeout: Some(400), ..Overrides::default() };
    let error = Settings::load(&overrides, &Place::new().environment).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.message(), "`timeout` is 400; it must be a whole number, 5 to 300.");
}

#[test]
fn a_projects_file_may_not_widen_trust() {
    for (text, name) in [
        ("allow_hosts = [\"evil.com\"]", "allow_hosts"),
        ("[engine]\ncommand = \"/bin/evil\"", "engine.command"),
        ("[servers.x]\nurl = \"http://evil\"\napi_key_env = \"AWS_SECRET\"", "servers.x.api_key_env"),
        ("[servers.x]\nurl = \"http://evil\"\napi_key_file = \"/etc/shadow\"", "servers.x.api_key_file"),
        ("allow_hosts = []", "allow_hosts"),
        ("[engine]\ncommand = \"\"", "engine.command"),
        ("[engine]\nmodel = \"their.gguf\"", "engine.model"),
    ] {
        let place = Place::new().project(text);
        let error = place.error();
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = error.message();
        assert!(message.contains(&format!("`{name}` may not stand in a project's file")), "{message}");
        let user_file = place.environment.config_dir.join("config.toml");
        assert!(message.contains(&user_file.display().to_string()), "{message}");
        Place::new().user(&text.replace("evil\"", "evil.com\"")).load();
    }
}

#[test]
fn a_projects_file_may_not_redirect_a_name_with_a_key() {
    let keyed = "[servers.work]\nurl = \"http://work\"\napi_key_env = \"WORK_KEY\"";
    let place = Place::new().user(keyed).project("[servers.work]\nurl = \"http://evil\"");
    assert_eq!(place.error().kind(), ErrorKind::Config);
    assert!(place.error().message().contains("`servers.work` may not replace"), "{}", place.error());
    let place = Place::new()
        .user("[servers.work]\nurl = \"http://work\"")
        .project("[servers.work]\nurl = \"http://here\"");
    let settings = place.load();
    assert_eq!(settings.servers["work"].url, "http://here");
    assert!(matches!(settings.servers["work"].origin, Origin::Project(_)));
}

#[test]
fn an_alias_is_a_list_of_routes_or_one_table() {
    let place = Place::new().user(
        "[servers.work]\nurl = \"http://work\"\n[[aliases.fast]]\nserver = \"work\"\nmodel = \"a\"\nkeep_alive = -1\n\
         [[aliases.fast]]\nserver = \"http://h:1\"\n[[aliases.fast]]\n[aliases.vision]\nmodel = \"v\"\ncontext_length = 4096\nserver = \"\"",
    );
    let settings = place.load();
    let entry = |server: Option<&str>, model: Option<&str>| RouteEntry {
        server: server.map(str::to_owned),
        model: model.map(str::to_owned),
        ..RouteEntry::default()
    };
    let first = RouteEntry { keep_alive: Some(-1), ..entry(Some("work"), Some("a")) };
    assert_eq!(*settings.aliases["fast"], [first, entry(Some("http://h:1"), None), entry(None, None)]);
    let vision = RouteEntry { context_length: Some(4096), ..entry(None, Some("v")) };
    assert_eq!(*settings.aliases["vision"], [vision], "an empty server counts as none");
    let shown = settings.show();
    let shown: Vec<_> = shown
        .iter()
        .filter(|line| line.key.starts_with("aliases."))
        .map(|line| (line.key.as_str(), line.value.trim().replace('\n', " ")))
        .collect();
    assert_eq!(
        shown,
        [
            ("aliases.fast[1]", "{ keep_alive = -1, model = \"a\", server = \"work\" }".to_owned()),
            ("aliases.fast[2]", "{ server = \"http://h:1\" }".to_owned()),
            ("aliases.fast[3]", "{}".to_owned()),
            ("aliases.vision[1]", "{ context_length = 4096, model = \"v\" }".to_owned()),
        ]
    );
}

#[test]
fn a_projects_file_may_add_aliases_and_not_replace_the_users() {
    let users =
        "[servers.work]\nurl = \"http://work\"\napi_key_env = \"K\"\n[aliases.fast]\nserver = \"work\"";
    let place = Place::new().user(users).project("[aliases.slow]\nserver = \"work\"").variable("K", "k");
    let settings = place.load();
    assert!(matches!(settings.aliases["slow"].origin, Origin::Project(_)));
    assert!(matches!(settings.aliases["fast"].origin, Origin::User(_)));
    let place = Place::new().user(users).project("[[aliases.fast]]\nserver = \"http://evil\"");
    let error = place.error();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("xdev-llm.toml: `aliases.fast` may not replace"), "{error}");
    assert!(error.hint().contains("another name"), "{}", error.hint());
    // What a project's alias names gets no key but the one bound to that very origin.
    let place = place.project("[[aliases.slow]]\nserver = \"http://evil\"").variable("K", "k");
    assert_eq!(key(&place.load(), "http://evil"), None);
}

#[test]
fn the_server_of_an_alias_is_refused_unseen_where_it_holds_a_secret() {
    for server in ["http://user:secret-k@h", "sk-secret-k-12345", "user:secret-k@h"] {
        let error = Place::new().user(&format!("[aliases.x]\nserver = \"{server}\"")).error();
        let shown = format!("{error} {error:?} {}", error.hint());
        assert!(!shown.contains("secret-k") && shown.contains("line 2"), "{server}: {shown}");
    }
}

#[test]
fn the_users_own_file_in_the_current_folder_is_the_users() {
    let place =
        Place::new().project("allow_hosts = [\"h.com\"]").variable("XDEV_LLM_CONFIG", "xdev-llm.toml");
    let settings = place.load();
    assert_eq!(*settings.allow_hosts, ["h.com"]);
    assert!(matches!(settings.allow_hosts.origin, Origin::User(_)));
}

#[test]
fn a_servers_key_goes_to_its_own_origin_alone() {
    let place = Place::new()
        .user("[servers.work]\nurl = \"http://work:8000/v1\"\napi_key_env = \"WORK_KEY\"\n[servers.free]\nurl = \"http://free\"")
        .variable("WORK_KEY", "secret-w");
    let settings = place.load();
    for url in ["http://work:8000", "http://WORK:8000/v1/", "http://work:8000/other"] {
        assert_eq!(key(&settings, url).as_deref(), Some("secret-w"), "{url}");
    }
    for url in
        ["https://work:8000", "http://work", "http://work:8001", "http://work.evil.com:8000", "http://free"]
    {
        assert_eq!(key(&settings, url), None, "{url}");
    }
    assert!(settings.key_for("work").is_err());
}

#[test]
fn different_keys_for_one_origin_are_refused() {
    let entries = "[servers.a]\nurl = \"http://h\"\napi_key_env = \"A\"\n[servers.b]\nurl = \"http://h/v1\"\napi_key_env = \"B\"";
    let place = Place::new().user(entries).variable("A", "secret-a").variable("B", "secret-b");
    let error = place.load().key_for("http://h").unwrap_err();
    assert!(error.message().contains("`servers.a.api_key` and `servers.b.api_key`"), "{error}");
    let place = Place::new().user(&entries.replace("\"B\"", "\"A\"")).variable("A", "secret-a");
    assert_eq!(key(&place.load(), "http://h").as_deref(), Some("secret-a"));
}

#[test]
fn a_key_file_is_found_beside_the_file_that_names_it() {
    let place = Place::new().user("[servers.work]\nurl = \"http://work\"\napi_key_file = \"work.key\"");
    let path = place.environment.config_dir.join("work.key");
    fs::write(&path, "secret-f\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(key(&place.load(), "http://work").as_deref(), Some("secret-f"));
    assert!(place.folder.path().exists());
}

#[test]
fn the_general_key_follows_the_users_own_server_only() {
    let place = Place::new().variable("XDEV_LLM_API_KEY", "secret-x");
    assert_eq!(key(&flag_server(&place, "http://flag"), "http://flag"), None);
    let place = place.project("server = \"http://evil\"");
    assert_eq!(key(&place.load(), "http://evil"), None);
    let place = place.user("server = \"http://mine\"");
    let settings = place.load();
    assert_eq!(settings.server.as_deref(), Some("http://evil"));
    assert_eq!(key(&settings, "http://evil"), None);
    assert_eq!(key(&settings, "http://mine").as_deref(), Some("secret-x"));
    let settings = place.variable("XDEV_LLM_SERVER", "http://there").load();
    assert_eq!(key(&settings, "http://there").as_deref(), Some("secret-x"));
    assert_eq!(key(&settings, "http://mine"), None);
}

#[test]
fn the_general_key_follows_a_name_to_the_users_entry_not_the_projects() {
    let place = Place::new()
        .user("server = \"work\"\n[servers.work]\nurl = \"http://work\"")
        .project("[servers.work]\nurl = \"http://evil\"")
        .variable("XDEV_LLM_API_KEY", "secret-x");
    let settings = place.load();
    assert_eq!(key(&settings, "http://work").as_deref(), Some("secret-x"));
    assert_eq!(key(&settings, "http://evil"), None);
    let place = Place::new()
        .project("[servers.work]\nurl = \"http://evil\"")
        .variable("XDEV_LLM_SERVER", "work")
        .variable("XDEV_LLM_API_KEY", "secret-x");
    assert_eq!(key(&place.load(), "http://evil"), None);
}

#[test]
fn the_servers_own_keys_go_to_their_own_servers() {
    let place = Place::new().variable("OPENAI_API_KEY", "secret-o").variable("LM_API_TOKEN", "secret-l");
    let settings = place.load();
    assert_eq!(key(&settings, "https://api.openai.com/v1"), None);
    for url in ["http://localhost:1234/v1", "http://127.0.0.1:1234", "http://[::1]:1234"] {
        assert_eq!(key(&settings, url).as_deref(), Some("secret-l"), "{url}");
    }
    assert_eq!(key(&settings, "http://localhost:8000"), None);
    let settings =
        place.variable("OPENAI_BASE_URL", "http://open/v1").variable("LMS_SERVER_HOST", "box:1").load();
    assert_eq!(key(&settings, "http://open").as_deref(), Some("secret-o"));
    assert_eq!(key(&settings, "http://box:1").as_deref(), Some("secret-l"));
    assert_eq!(key(&settings, "http://localhost:1234"), None);
}

#[test]
fn a_key_in_a_file_is_refused_unseen() {
    for text in [
        "api_key = \"secret-k\"",
        "[servers.x]\nurl = \"http://h\"\napi_key = \"secret-k\"",
        "timeout = \"secret-k\"",
        "reasoning = \"secret-k\"",
        "[servers.x]\nurl = \"http://user:secret-k@h\"",
        "server = \"http://user:secret-k@h\"",
        "server = \"sk-secret-k-12345\"",
        "discovery_ports = [\"secret-k\"]",
        "allow_hosts = [\"user:secret-k@h\"]",
        "model = \"secret-k",
    ] {
        let error = Place::new().user(text).error();
        let shown = format!("{error} {error:?} {}", error.hint());
        assert!(!shown.contains("secret-k"), "{text}: {shown}");
    }
    let error = Place::new().user("[servers.x]\nurl = \"http://h\"\napi_key = \"k\"").error();
    assert!(
        error.message().contains("line 3: `servers.x.api_key` puts a key straight into the file"),
        "{error}"
    );
}

#[test]
fn keys_are_never_shown() {
    let place = Place::new()
        .user("server = \"work\"\n[servers.work]\nurl = \"http://work\"\napi_key_env = \"WORK_KEY\"\n[servers.gone]\nurl = \"http://gone\"\napi_key_env = \"GONE_KEY\"")
        .variable("WORK_KEY", "secret-1")
        .variable("XDEV_LLM_API_KEY", "secret-2")
        .variable("OPENAI_API_KEY", "secret-3")
        .variable("OPENAI_BASE_URL", "http://open")
        .variable("LM_API_TOKEN", "secret-4");
    let settings = place.load();
    let shown = settings.show();
    let all = format!(
        "{settings:?} {shown:?} {:?} {:?}",
        place.environment,
        settings.key_for("http://work").unwrap()
    );
    assert!(!all.contains("secret-"), "{all}");
    let value = |key: &str| shown.iter().find(|line| line.key == key).unwrap();
    assert_eq!(
        value("servers.work.api_key").value,
        "from environment variable WORK_KEY (set), only for http://work"
    );
    assert!(value("servers.gone.api_key").value.contains("GONE_KEY (not set)"));
    assert_eq!(value("api_key").origin, Origin::Environment("XDEV_LLM_API_KEY"));
    assert_eq!(value("OPENAI_API_KEY").origin, Origin::ServerVariable("OPENAI_API_KEY"));
    assert!(settings.key_for("http://gone").unwrap_err().message().contains("GONE_KEY, which is not set"));
    let unbound = Place::new().variable("XDEV_LLM_API_KEY", "secret-2").load().show();
    assert!(unbound.iter().any(|line| line.key == "api_key" && line.value.contains("set XDEV_LLM_SERVER")));
}

#[test]
fn a_server_is_found_by_name_or_url() {
    let place = Place::new()
        .user("server = \"work\"\n[servers.work]\nurl = \"http://Work:8000/v1/\"\nkind = \"vllm\"");
    let ServerChoice::Given { url, name, entry } = place.load().server_choice().unwrap() else {
        panic!("given")
    };
    assert_eq!((url.root.as_str(), name.as_deref()), ("http://work:8000", Some("work")));
    assert_eq!(entry.unwrap().kind.as_deref(), Some("vllm"));
    let ServerChoice::Given { url, name, entry } =
        flag_server(&place, "http://h/v1").server_choice().unwrap()
    else {
        panic!("given")
    };
    assert_eq!((url.shown.as_str(), name, entry), ("http://h/v1", None, None));
    let error = flag_server(&place, "wrok1").server_choice().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().starts_with("Invalid server URL: \"wrok1\""), "{error}");
    let error = flag_server(&place, "wokr").server_choice().unwrap_err();
    assert!(error.message().contains("flag --server"), "{error}");
    let error = flag_server(&place, "localhost:1234").server_choice().unwrap_err();
    assert!(error.message().contains("\"http://localhost:1234\""), "{error}");
}

#[test]
fn folders_can_be_moved() {
    let place = Place::new().variable("XDEV_LLM_STATE_DIR", "here").variable("XDEV_LLM_DATA_DIR", "/there");
    let settings = place.load();
    assert_eq!(*settings.state_dir, place.environment.current_dir.join("here"));
    assert_eq!(*settings.data_dir, Path::new("/there"));
    assert_eq!(settings.state_dir.origin, Origin::Environment("XDEV_LLM_STATE_DIR"));
}

#[test]
fn raw_tables_arrive_as_they_stand_and_the_stronger_name_wins_whole() {
    let place = Place::new()
        .user("[presets.tags]\ntemperature = 0.4\nstop = [\"\"]\n[kinds.mine]\nx = 1")
        .project("[presets.tags]\ntop_p = 0.9\n[presets.other]\nseed = 1");
    let settings = place.load();
    assert_eq!(settings.presets["tags"].value.to_string(), "top_p = 0.9\n");
    assert!(settings.presets.contains_key("other"));
    assert_eq!(settings.kinds["mine"]["x"].as_integer(), Some(1));
}

#[test]
fn a_byte_order_mark_and_windows_lines_are_read() {
    let settings = Place::new().user("\u{feff}model = \"a\"\r\ntimeout = 30\r\n").load();
    assert_eq!((settings.model.as_str(), settings.timeout.as_secs()), ("a", 30));
}

#[test]
fn the_template_says_nothing_until_a_setting_is_taken_out_and_then_loads() {
    let template = user_template();
    let settings = Place::new().user(&template).load();
    assert!(settings.show().iter().all(|shown| matches!(shown.origin, Origin::BuiltIn)));
    let taken: Vec<&str> = template
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        // Both ways to a key in one entry are refused.
        .filter(|line| !line.starts_with("api_key_file"))
        .collect();
    let settings = Place::new().user(&taken.join("\n")).load();
    assert_eq!(settings.servers["example"].api_key_env.as_deref(), Some("WORK_API_KEY"));
    assert!(settings.presets.contains_key("example") && settings.engine.command.is_some());
}

/// The schema of the config file: shapes from the types, words and ranges from the table of settings.
fn schema() -> serde_json::Value {
    let settings =
        schemars::generate::SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<ConfigFile>().to_value();
    schema["title"] = json!("XDev LLM configuration");
    schema.as_object_mut().unwrap().remove("description");
    for key in KEYS {
        let mut node = &mut schema;
        for part in key.name.split('.') {
            let is_name = part.starts_with("NAME");
            let step = if is_name { "additionalProperties" } else { "properties" };
            node = node.get_mut(step).unwrap_or_else(|| panic!("{} is not in the types", key.name));
            if part.ends_with("[]") {
                node = node.get_mut("items").expect("the types have a list, too");
            }
            if !is_name {
                node = node.get_mut(part).unwrap_or_else(|| panic!("{} is not in the types", key.name));
            }
            // These are the types' own words, for readers of the code.
            node.as_object_mut()
                .unwrap()
                .retain(|name, _| !matches!(name.as_str(), "default" | "description"));
        }
        let type_name = match key.form {
            Form::Text | Form::Url | Form::Choice(_) => "string",
            Form::Integer(..) => "integer",
            Form::Hosts | Form::Ports => "array",
            Form::Table => "object",
        };
        let types = &node["type"];
        let fits =
            types == type_name || types.as_array().is_some_and(|types| types.contains(&json!(type_name)));
        assert!(fits, "{}: the table says {type_name}, the types say {types}", key.name);
        let node = node.as_object_mut().unwrap();
        // TOML has no null: a value that is not given is left out.
        node.insert("type".to_owned(), json!(type_name));
        node.insert("description".to_owned(), json!(key.meaning));
        match key.form {
            Form::Integer(low, high) => {
                node.remove("format");
                node.insert("minimum".to_owned(), json!(low));
                node.insert("maximum".to_owned(), json!(high));
            }
            Form::Choice(words) => drop(node.insert("enum".to_owned(), json!(words))),
            Form::Ports => drop(
                node.insert("items".to_owned(), json!({"type": "integer", "minimum": 1, "maximum": 65535})),
            ),
            Form::Text | Form::Url | Form::Hosts | Form::Table => {}
        }
    }
    schema
}

/// How many settings a schema has, tables with names counted once.
fn leaves(node: &serde_json::Value) -> usize {
    match (node.get("properties").and_then(|all| all.as_object()), node.get("additionalProperties")) {
        (Some(all), _) => all.values().map(leaves).sum(),
        (None, Some(named)) if named.get("properties").is_some() => leaves(named),
        (None, Some(named)) if named.get("items").is_some() => leaves(&named["items"]),
        _ => 1,
    }
}

#[test]
fn the_schema_in_docs_is_current() {
    let mut schema = schema();
    assert_eq!(leaves(&schema), KEYS.len(), "a field of the types is not in the table of settings");
    // A table that stands alone is a list of one.
    let aliases = &mut schema["properties"]["aliases"]["additionalProperties"];
    let mut list = aliases.take();
    list["minItems"] = json!(1);
    *aliases = json!({"anyOf": [list["items"], list]});
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/config.schema.json is out of date; run the tests with UPDATE_DOCS=1");
}
