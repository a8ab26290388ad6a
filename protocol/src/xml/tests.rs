use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<(), XmlError> {
    Document::parse(text.as_bytes(), &Limits::default()).map(drop)
}

#[track_caller]
fn check_refused(text: &str) {
    assert!(parse(text).is_err(), "{text}");
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for text in [
        "",
        " ",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a b='1' b='2'/>",
        "<a b='1'c='2'/>",
        "<a b=1/>",
        "<a b/>",
        "<a b='<'/>",
        "<a>]]></a>",
        "<a>&unknown;</a>",
        "<a>&#0;</a>",
        "<a>&#+65;</a>",
        "<a>&</a>",
        "<a>\u{1}</a>",
        "<a>\u{FFFF}</a>",
        "<a><!-- -- --></a>",
        "<a><?xml version='1.0'?></a>",
        " <?xml version='1.0'?><a/>",
        "<?xml version='1.1'?><a/>",
        "<?xml version='1.0' encoding='latin1'?><a/>",
        "<p:a/>",
        "<a p:b='1'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
        "<1/>",
        "<a:b:c xmlns:a='u'/>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        "<a/><![CDATA[]]>",
        "&#32;<a/>",
    ] {
        check_refused(text);
    }
    assert_eq!(parse("<!DOCTYPE a><a/>"), Err(XmlError::Doctype));
    assert_eq!(Document::parse(b"<a>\xff</a>", &Limits::default()).err(), Some(XmlError::Encoding));
}

#[test]
fn limits_hold() {
    let limits = Limits { octets: 100, depth: 3, nodes: 5, attributes: 2 };
    let error = |text: &str| Document::parse(text.as_bytes(), &limits).err();
    assert_eq!(error("<a><b><c/></b></a>"), None);
    assert_eq!(error("<a><b><c><d/></c></b></a>"), Some(XmlError::Limit("levels")));
    assert_eq!(error("<a><b/><b/><b/><b/><b/></a>"), Some(XmlError::Limit("nodes")));
    assert_eq!(error("<a a='' b='' c=''/>"), Some(XmlError::Limit("attributes")));
    assert_eq!(
        error("<a xmlns:a='u' xmlns:b='u'><b xmlns:c='u'/></a>"),
        Some(XmlError::Limit("declarations"))
    );
    assert_eq!(error(&format!("<a>{}</a>", "x".repeat(100))), Some(XmlError::Limit("octets")));
}

#[test]
fn trees_are_looked_at() {
    let text = "\u{FEFF}<?xml version='1.0' encoding='UTF-8'?><a xmlns='u' xmlns:p='v' Id='1'>\r\n&lt;<![CDATA[<]]>\
                <!--c-->&#13;<p:b p:c=\"x\r\ny\" c='z'/>t</a>";
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("well-formed");
    let root = document.root();
    assert!(root.is("u", "a"));
    assert_eq!(root.text(), "\n<<\rt");
    let child = root.child("v", "b").expect("a child");
    assert_eq!(
        (child.prefix(), child.attribute("c"), child.attribute_in("v", "c")),
        ("p", Some("z"), Some("x y"))
    );
    assert_eq!(text.get(child.tag()), Some("<p:b p:c=\"x\r\ny\" c='z'/>"));
    assert_eq!(child.resolve_prefix(""), Some("u"));
    assert_eq!(document.element_with_id("1"), Some(root));
    assert_eq!(child.parent(), Some(root));
    assert_eq!(root.descendants().count(), 2);
}

#[track_caller]
fn check_canonical(method: CanonicalizationMethod, text: &str, apex: &str, expected: &str) {
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("well-formed");
    let form = Canonicalization::from(method);
    let octets = match apex {
        "" => document.canonicalize(&form),
        apex => {
            let found = document.root().descendants().find(|element| element.local_name() == apex);
            found.expect("the apex").canonicalize(&form)
        }
    };
    assert_eq!(String::from_utf8_lossy(&octets), expected);
}

#[test]
fn canonical_forms() {
    use CanonicalizationMethod::{Exclusive, Inclusive, InclusiveWithComments};
    let text = "<?xml version='1.0'?><!--x--><?p  d ?><a xmlns='u' xmlns:z='z' xmlns:y='y' xml:lang='et'>\
                <b z:q='\t1&#9;' b='&quot;' a='&lt;>'><!--c--><c xmlns=''/>&#xD;&gt;</b></a><!--y-->\n";
    check_canonical(
        Inclusive,
        text,
        "",
        "<?p d ?>\n<a xmlns=\"u\" xmlns:y=\"y\" xmlns:z=\"z\" xml:lang=\"et\">\
         <b a=\"&lt;>\" b=\"&quot;\" z:q=\" 1&#x9;\"><c xmlns=\"\"></c>&#xD;&gt;</b></a>",
    );
    check_canonical(InclusiveWithComments, "<!--x--><a/><!--y-->", "", "<!--x-->\n<a></a>\n<!--y-->");
    check_canonical(
        Inclusive,
        text,
        "b",
        "<b xmlns=\"u\" xmlns:y=\"y\" xmlns:z=\"z\" a=\"&lt;>\" b=\"&quot;\" xml:lang=\"et\" z:q=\" 1&#x9;\">\
         <c xmlns=\"\"></c>&#xD;&gt;</b>",
    );
    check_canonical(
        Exclusive,
        text,
        "b",
        "<b xmlns=\"u\" xmlns:z=\"z\" a=\"&lt;>\" b=\"&quot;\" z:q=\" 1&#x9;\"><c xmlns=\"\"></c>&#xD;&gt;</b>",
    );
    check_canonical(Exclusive, text, "c", "<c></c>");
    check_canonical(Inclusive, text, "c", "<c xmlns:y=\"y\" xmlns:z=\"z\" xml:lang=\"et\"></c>");
}

#[test]
fn inclusive_prefixes_are_as_if_used() {
    let text = "<a xmlns='u' xmlns:p='v' xmlns:q='w'><p:b><c xmlns=''/></p:b></a>";
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("well-formed");
    let apex = document.root().child("v", "b").expect("the apex");
    let form = Canonicalization {
        method: CanonicalizationMethod::Exclusive,
        inclusive_prefixes: vec!["#default".to_owned(), "q".to_owned(), "unknown".to_owned()],
    };
    assert_eq!(
        String::from_utf8_lossy(&apex.canonicalize(&form)),
        "<p:b xmlns=\"u\" xmlns:p=\"v\" xmlns:q=\"w\"><c xmlns=\"\"></c></p:b>"
    );
}

/// Text that looks like XML often enough to reach every branch.
fn near_xml() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<a>",
        "</a>",
        "<a ",
        "b='",
        "'",
        "\"",
        ">",
        "/>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?p ",
        "?>",
        "&amp;",
        "&#x",
        ";",
        "xmlns:p='u' ",
        "p:",
        "xmlns='' ",
        "é",
        "\r\n",
        " ",
        "<!DOCTYPE",
        "<?xml version='1.0'?>",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_panic_on_arbitrary_octets(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&octets, &Limits::default());
    }

    #[test]
    fn canonical_form_is_a_fixed_point(text in near_xml()) {
        if let Ok(document) = Document::parse(text.as_bytes(), &Limits::default()) {
            for method in CanonicalizationMethod::ALL {
                let once = document.canonicalize(&method.into());
                let again = Document::parse(&once, &Limits::default()).expect("canonical XML is well-formed");
                prop_assert_eq!(&again.canonicalize(&method.into()), &once);
            }
        }
    }
}
