//! Every folder in `tests/import`: its documents, and beside them what must come of them. `expected.toml` is the file,
//! `expected.remarks` what is said, `parameters`, if there is one, what is given by `--parameter`. `UPDATE=1` rewrites
//! the expected files.

use std::fs;
use std::path::{Path, PathBuf};

use watchbell_aws::{Document, ImportError, Imported, Parameters, import};
use watchbell_config::{Source, check};

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read(folder: &Path) -> (Vec<Document>, Parameters) {
    let mut documents = Vec::new();
    for path in entries(folder) {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        if ["json", "yaml"].contains(&extension) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            documents.push(Document { name, text: fs::read_to_string(path).unwrap() });
        }
    }
    let given = fs::read_to_string(folder.join("parameters")).unwrap_or_default();
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    (documents, given.lines().filter_map(pair).collect())
}

fn hold_against(path: &Path, found: &str, differences: &mut Vec<String>) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != found {
        differences.push(format!("{}\n--- expected\n{expected}--- found\n{found}", path.display()));
    }
}

#[test]
fn every_folder_gives_its_file_and_its_remarks() {
    let mut differences = Vec::new();
    for folder in entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")) {
        let (documents, given) = read(&folder);
        let imported =
            import(&documents, &given).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let remark = |remark: &watchbell_aws::Remark| {
            format!("{}{remark}\n", if remark.is_lost { "" } else { "note: " })
        };
        let remarks: String = imported.remarks.iter().map(remark).collect();
        hold_against(&folder.join("expected.toml"), &imported.text, &mut differences);
        hold_against(&folder.join("expected.remarks"), &remarks, &mut differences);
        let source = Source { name: "watchbell.toml", text: &imported.text, folder: Path::new("/") };
        let checked = check(&source);
        assert!(checked.plan.is_some(), "{}: {:?}", folder.display(), checked.problems);
        for remark in imported.remarks {
            let comment = format!("{}\n", remark.message);
            assert!(imported.text.contains(&comment), "{}: not in the file: {remark}", folder.display());
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn of(texts: &[&str]) -> Result<Imported, ImportError> {
    let document = |text: &&str| Document { name: "x.yaml".to_owned(), text: (*text).to_owned() };
    import(&texts.iter().map(document).collect::<Vec<_>>(), &Parameters::new())
}

#[test]
fn what_is_no_template_and_no_description_is_refused() {
    assert_eq!(of(&["a: 1"]), Err(ImportError::Unknown { file: "x.yaml".to_owned() }));
    assert!(matches!(of(&["{\n\"Resources\": [}"]), Err(ImportError::Malformed { line: 2, .. })));
    assert!(of(&["Resources: {}"]).unwrap().counts.is_nothing());
}

#[test]
fn the_same_twice_is_the_same_once() {
    let template = include_str!("import/yaml_template/alarms.yaml");
    let once = of(&[template]).unwrap();
    let twice = of(&[template, template]).unwrap();
    assert_eq!(once.counts, twice.counts);
    let tables =
        |text: &str| text.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(tables(&once.text), tables(&twice.text));
}

#[test]
fn composite_alarms_in_chains_and_circles_go_with_what_they_need() {
    let mut text = "Resources:\n".to_owned();
    for n in 0..300 {
        text += &format!(
            "  C{n}: {{Type: AWS::CloudWatch::CompositeAlarm, Properties: {{AlarmName: c{n}, AlarmRule: 'ALARM(c{})'}}}}\n",
            n + 1
        );
    }
    let imported = of(&[&text]).unwrap();
    assert!(imported.counts.is_nothing());
    assert_eq!(imported.remarks.len(), 300);
    let circle = text.replace("ALARM(c300)", "ALARM(c0)");
    assert_eq!(of(&[&circle]).unwrap().remarks.len(), 300);
}
