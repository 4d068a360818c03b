//! What a Prometheus answers to an instant query, by its published HTTP API.

use serde::Deserialize;
use serde_json::{Value as Json, from_value};

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Answer {
    Success {
        data: Data,
    },
    Error {
        #[serde(rename = "errorType")]
        kind: String,
        error: String,
    },
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Json,
}

/// A moment, and a number as text: `NaN`, `+Inf` and `-Inf` are numbers too.
type Value = (f64, String);

#[derive(Deserialize)]
struct Series {
    value: Option<Value>,
}

/// The numbers in it, those that say something; nothing where it is no answer of this API.
pub(super) fn values(body: &[u8]) -> Option<Result<Vec<f64>, String>> {
    let data = match serde_json::from_slice(body).ok()? {
        Answer::Success { data } => data,
        Answer::Error { kind, error } => return Some(Err(format!("{kind}: {error}"))),
    };
    let texts: Vec<String> = match &*data.kind {
        "scalar" => vec![from_value::<Value>(data.result).ok()?.1],
        "vector" => {
            let series: Vec<Series> = from_value(data.result).ok()?;
            series.into_iter().filter_map(|series| series.value).map(|(_, text)| text).collect()
        }
        other => {
            let why = format!("the query gives a {other}, and must give one number: use sum(…)");
            return Some(Err(why));
        }
    };
    let numbers = texts.iter().filter_map(|text| text.parse::<f64>().ok());
    Some(Ok(numbers.filter(|number| number.is_finite()).collect()))
}

#[cfg(test)]
mod tests {
    use super::values;

    fn read(body: &str) -> Result<Vec<f64>, String> {
        values(body.as_bytes()).expect("it is an answer")
    }

    #[test]
    fn the_forms_that_the_api_has() {
        let vector = |result: &str| {
            format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#
            )
        };
        let one = r#"{"metric":{"instance":"web1:9090"},"value":[1435781451.781,"41.5"]}"#;
        assert_eq!(read(&vector(one)), Ok(vec![41.5]));
        assert_eq!(read(&vector(&format!("{one},{one}"))), Ok(vec![41.5, 41.5]));
        assert_eq!(read(&vector("")), Ok(vec![]));
        for nothing in ["NaN", "+Inf", "-Inf"] {
            let series = format!(r#"{{"metric":{{}},"value":[1435781451,"{nothing}"]}}"#);
            assert_eq!(read(&vector(&series)), Ok(vec![]), "{nothing}");
        }
        let scalar = r#"{"status":"success","warnings":["w"],"data":{"resultType":"scalar","result":[1,"2"]}}"#;
        assert_eq!(read(scalar), Ok(vec![2.0]));
    }

    #[test]
    fn errors_are_told_in_its_own_words() {
        let error =
            r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected )"}"#;
        assert_eq!(read(error), Err("bad_data: parse error: unexpected )".to_owned()));
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert!(read(matrix).unwrap_err().contains("gives a matrix"));
        assert_eq!(values(b"<html>"), None);
    }
}
