//! The names that Go knows for `\p{...}`: general categories with their aliases, and scripts by their long names.

/// General categories: the short name, which the crate `regex` takes, and Unicode's other names.
const CATEGORIES: &[&[&str]] = &[
    &["C", "other"],
    &["Cc", "control", "cntrl"],
    &["Cf", "format"],
    &["Cn", "unassigned"],
    &["Co", "privateuse"],
    &["Cs", "surrogate"],
    &["L", "letter"],
    &["LC", "casedletter"],
    &["Ll", "lowercaseletter"],
    &["Lm", "modifierletter"],
    &["Lo", "otherletter"],
    &["Lt", "titlecaseletter"],
    &["Lu", "uppercaseletter"],
    &["M", "mark", "combiningmark"],
    &["Mc", "spacingmark"],
    &["Me", "enclosingmark"],
    &["Mn", "nonspacingmark"],
    &["N", "number"],
    &["Nd", "decimalnumber", "digit"],
    &["Nl", "letternumber"],
    &["No", "othernumber"],
    &["P", "punctuation", "punct"],
    &["Pc", "connectorpunctuation"],
    &["Pd", "dashpunctuation"],
    &["Pe", "closepunctuation"],
    &["Pf", "finalpunctuation"],
    &["Pi", "initialpunctuation"],
    &["Po", "otherpunctuation"],
    &["Ps", "openpunctuation"],
    &["S", "symbol"],
    &["Sc", "currencysymbol"],
    &["Sk", "modifiersymbol"],
    &["Sm", "mathsymbol"],
    &["So", "othersymbol"],
    &["Z", "separator"],
    &["Zl", "lineseparator"],
    &["Zp", "paragraphseparator"],
    &["Zs", "spaceseparator"],
];

/// The scripts of Unicode 15, as Go 1.21 and later know them.
const SCRIPTS: &str = "adlam ahom anatolianhieroglyphs arabic armenian avestan balinese bamum bassavah batak bengali \
    bhaiksuki bopomofo brahmi braille buginese buhid canadianaboriginal carian caucasianalbanian chakma cham cherokee \
    chorasmian common coptic cuneiform cypriot cyprominoan cyrillic deseret devanagari divesakuru dogra duployan \
    egyptianhieroglyphs elbasan elymaic ethiopic georgian glagolitic gothic grantha greek gujarati gunjalagondi gurmukhi \
    han hangul hanifirohingya hanunoo hatran hebrew hiragana imperialaramaic inherited inscriptionalpahlavi \
    inscriptionalparthian javanese kaithi kannada katakana kawi kayahli kharoshthi khitansmallscript khmer khojki \
    khudawadi lao latin lepcha limbu lineara linearb lisu lycian lydian mahajani makasar malayalam mandaic manichaean \
    marchen masaramgondi medefaidrin meeteimayek mendekikakui meroiticcursive meroitichieroglyphs miao modi mongolian \
    mro multani myanmar nabataean nagmundari nandinagari newa newtailue nko nushu nyiakengpuachuehmong ogham olchiki \
    oldhungarian olditalic oldnortharabian oldpermic oldpersian oldsogdian oldsoutharabian oldturkic olduyghur oriya \
    osage osmanya pahawhhmong palmyrene paucinhau phagspa phoenician psalterpahlavi rejang runic samaritan saurashtra \
    sharada shavian siddham signwriting sinhala sogdian sorasompeng soyombo sundanese sylotinagri syriac tagalog \
    tagbanwa taile taitham taiviet takri tamil tangsa tangut telugu thaana thai tibetan tifinagh tirhuta toto ugaritic \
    vai vithkuqi wancho warangciti yezidi yi zanabazarsquare";

/// Returns what is in `\p{...}` of the crate `regex` for a name that Go knows; None if Go knows no such name.
///
/// Go 1.25 regexp/syntax unicodeTable: case, blanks, `_` and `-` do not matter.
pub(super) fn property(name: &str) -> Option<String> {
    let plain: String =
        name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
    if ["any", "assigned", "ascii"].contains(&plain.as_str()) {
        return Some(plain);
    }
    let is_meant = |names: &&&[&str]| names.iter().any(|n| n.eq_ignore_ascii_case(&plain));
    if let Some(names) = CATEGORIES.iter().find(is_meant) {
        return names.first().map(|short| format!("gc={short}"));
    }
    SCRIPTS.split_whitespace().any(|script| script == plain).then(|| format!("sc={plain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_compiled() {
        let categories = CATEGORIES.iter().filter_map(|names| names.first()).filter(|n| **n != "Cs");
        for name in categories.copied().chain(SCRIPTS.split_whitespace()).chain(["Any", "Assigned", "ASCII"])
        {
            let property = property(name).expect(name);
            assert!(regex::Regex::new(&format!(r"\p{{{property}}}")).is_ok(), "{property}");
        }
        assert_eq!(property("Grek"), None);
        assert_eq!(property("xid_start"), None);
    }
}
