//! Parses and evaluates the expressions of `resourcesPolicy`, such as `max(cpu*50%, 100m)`: sums over a resource of the
//! application's containers.
//!
//! Parsing and arithmetic follow Kruise v1.9.0 pkg/util/calculator exactly, with one difference: a number with an unknown
//! unit is an error here, where Kruise reads it as zero.

mod parser;

use crate::model::quantity::{Quantity, QuantityFormat};
use std::fmt;

/// The resource an expression is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExprResource {
    /// The variable `cpu`.
    Cpu,
    /// The variable `memory`.
    Memory,
}

impl fmt::Display for ExprResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        })
    }
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExprError {
    /// Where in the text, in characters from 1.
    pub(crate) column: usize,
    /// What is wrong there.
    pub(crate) message: String,
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at column {}", self.message, self.column)
    }
}

/// Why an expression has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EvalError {
    /// It names a variable that has no value here.
    Undefined(ExprResource),
    /// Two quantities are multiplied.
    QuantityTimesQuantity,
    /// Something is divided by a quantity.
    DividedByQuantity,
    /// Something is divided by zero.
    DividedByZero,
    /// The result is below zero.
    Negative,
    /// A number on the way is larger than Kubernetes can hold.
    Overflow,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined(name) => write!(f, "the variable `{name}` has no value here"),
            Self::QuantityTimesQuantity => f.write_str("two quantities cannot be multiplied"),
            Self::DividedByQuantity => f.write_str("nothing can be divided by a quantity"),
            Self::DividedByZero => f.write_str("it divides by zero"),
            Self::Negative => f.write_str("the result is negative"),
            Self::Overflow => f.write_str("a number is larger than Kubernetes can hold"),
        }
    }
}

/// An expression that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResourcesExpr {
    root: ExprNode,
    /// The variable that Kruise binds at injection: `memory` where the lower-case word occurs, else `cpu`.
    bound_variable: ExprResource,
}

#[derive(Debug, Clone, PartialEq)]
enum ExprNode {
    Number(f64),
    Quantity(Quantity),
    Variable(ExprResource),
    Negated(Box<Self>),
    /// A first operand, and what is done to it from left to right.
    Chain(Box<Self>, Vec<(ArithmeticOperator, Self)>),
    Call(ExprFunction, Box<(Self, Self)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArithmeticOperator {
    Plus,
    Minus,
    Times,
    DividedBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExprFunction {
    Max,
    Min,
}

/// A value on the way: a plain number or a quantity.
#[derive(Debug, Clone)]
enum ExprValue {
    Number(f64),
    Quantity(Quantity),
}

/// Reads an expression.
///
/// # Errors
/// When the text is not an expression; the error has the column.
pub(crate) fn parse(text: &str) -> Result<ResourcesExpr, ExprError> {
    let root = parser::parse_root(text)?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names_memory = text.split(|c| !is_word(c)).any(|word| word == "memory");
    Ok(ResourcesExpr {
        root,
        bound_variable: if names_memory { ExprResource::Memory } else { ExprResource::Cpu },
    })
}

impl ResourcesExpr {
    /// Returns the value at injection, where the application's containers have this amount of the resource.
    ///
    /// # Errors
    /// When Kruise would refuse the pod.
    pub(crate) fn evaluate(&self, amount: &Quantity) -> Result<Quantity, EvalError> {
        match self.evaluate_with(self.bound_variable, &ExprValue::Quantity(amount.clone()))? {
            ExprValue::Quantity(q) => Ok(q),
            // Kruise v1.9.0 evaluateResourceExpression: only an expression that names `memory` counts whole bytes.
            ExprValue::Number(n) if self.bound_variable == ExprResource::Cpu => quantity_from_number(n),
            ExprValue::Number(n) => {
                let milli = truncate_to_i64(n)?.checked_mul(1000).ok_or(EvalError::Overflow)?;
                Ok(Quantity::from_milli(milli, QuantityFormat::DecimalSi))
            }
        }
    }

    /// Returns the value that Kruise's webhook tries an expression of a resource with: the plain number 1.
    ///
    /// # Errors
    /// When Kruise would refuse the SidecarSet.
    pub(crate) fn evaluate_with_one(&self, resource: ExprResource) -> Result<(), EvalError> {
        self.evaluate_with(resource, &ExprValue::Number(1.0)).map(|_| ())
    }

    /// Returns whether the value depends on a variable.
    pub(crate) fn has_variable(&self) -> bool {
        fn has(node: &ExprNode) -> bool {
            match node {
                ExprNode::Number(_) | ExprNode::Quantity(_) => false,
                ExprNode::Variable(_) => true,
                ExprNode::Negated(of) => has(of),
                ExprNode::Chain(first, rest) => has(first) || rest.iter().any(|(_, n)| has(n)),
                ExprNode::Call(_, args) => has(&args.0) || has(&args.1),
            }
        }
        has(&self.root)
    }

    fn evaluate_with(&self, name: ExprResource, value: &ExprValue) -> Result<ExprValue, EvalError> {
        let result = evaluate_node(&self.root, name, value)?;
        let is_negative = match &result {
            ExprValue::Number(n) => *n < 0.0,
            ExprValue::Quantity(q) => q.sign() < 0,
        };
        if is_negative { Err(EvalError::Negative) } else { Ok(result) }
    }
}

fn evaluate_node(node: &ExprNode, name: ExprResource, value: &ExprValue) -> Result<ExprValue, EvalError> {
    match node {
        ExprNode::Number(n) => Ok(ExprValue::Number(*n)),
        ExprNode::Quantity(q) => Ok(ExprValue::Quantity(q.clone())),
        ExprNode::Variable(v) if *v == name => Ok(value.clone()),
        ExprNode::Variable(v) => Err(EvalError::Undefined(*v)),
        ExprNode::Negated(of) => Ok(match evaluate_node(of, name, value)? {
            ExprValue::Number(n) => ExprValue::Number(-n),
            ExprValue::Quantity(q) => ExprValue::Quantity(q.negated()),
        }),
        ExprNode::Chain(first, rest) => {
            rest.iter().try_fold(evaluate_node(first, name, value)?, |left, (operator, right)| {
                apply_operator(*operator, left, evaluate_node(right, name, value)?)
            })
        }
        ExprNode::Call(function, args) => apply_function(
            *function,
            evaluate_node(&args.0, name, value)?,
            evaluate_node(&args.1, name, value)?,
        ),
    }
}

fn apply_operator(
    operator: ArithmeticOperator,
    left: ExprValue,
    right: ExprValue,
) -> Result<ExprValue, EvalError> {
    use ExprValue::{Number, Quantity as Amount};
    Ok(match (operator, left, right) {
        (ArithmeticOperator::Plus, Number(a), Number(b)) => Number(a + b),
        (ArithmeticOperator::Minus, Number(a), Number(b)) => Number(a - b),
        (ArithmeticOperator::Times, Number(a), Number(b)) => Number(a * b),
        (ArithmeticOperator::DividedBy, _, Number(0.0)) => return Err(EvalError::DividedByZero),
        (ArithmeticOperator::DividedBy, Number(a), Number(b)) => Number(a / b),
        (ArithmeticOperator::DividedBy, Amount(q), Number(n)) => {
            Amount(scale_quantity(&q, |milli| milli / n)?)
        }
        (ArithmeticOperator::DividedBy, _, Amount(_)) => return Err(EvalError::DividedByQuantity),
        (ArithmeticOperator::Times, Amount(_), Amount(_)) => return Err(EvalError::QuantityTimesQuantity),
        (ArithmeticOperator::Times, Amount(q), Number(n))
        | (ArithmeticOperator::Times, Number(n), Amount(q)) => Amount(scale_quantity(&q, |milli| milli * n)?),
        (ArithmeticOperator::Plus, a, b) => Amount(into_quantity(a)?.plus(&into_quantity(b)?)),
        (ArithmeticOperator::Minus, a, b) => Amount(into_quantity(a)?.plus(&into_quantity(b)?.negated())),
    })
}

fn apply_function(function: ExprFunction, left: ExprValue, right: ExprValue) -> Result<ExprValue, EvalError> {
    let takes_left = |is_less: bool, is_equal: bool| is_equal || is_less == (function == ExprFunction::Min);
    if let (ExprValue::Number(a), ExprValue::Number(b)) = (&left, &right) {
        return Ok(ExprValue::Number(if takes_left(a < b, a == b) { *a } else { *b }));
    }
    let (a, b) = (into_quantity(left)?, into_quantity(right)?);
    Ok(ExprValue::Quantity(if takes_left(a < b, a == b) { a } else { b }))
}

/// Kruise reckons on thousandths, through a 64-bit float, and cuts toward zero.
fn scale_quantity(quantity: &Quantity, by: impl Fn(f64) -> f64) -> Result<Quantity, EvalError> {
    let milli = quantity.milli().ok_or(EvalError::Overflow)?;
    Ok(quantity.with_milli(truncate_to_i64(by(milli as f64))?))
}

fn into_quantity(term: ExprValue) -> Result<Quantity, EvalError> {
    match term {
        ExprValue::Number(n) => quantity_from_number(n),
        ExprValue::Quantity(q) => Ok(q),
    }
}

fn quantity_from_number(number: f64) -> Result<Quantity, EvalError> {
    Ok(Quantity::from_milli(truncate_to_i64(number * 1000.0)?, QuantityFormat::DecimalSi))
}

fn truncate_to_i64(number: f64) -> Result<i64, EvalError> {
    let most = i64::MAX as f64;
    if number.abs() < most { Ok(number as i64) } else { Err(EvalError::Overflow) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, amount: &str) -> String {
        let amount = Quantity::parse(amount).expect("a quantity");
        match parse(text) {
            Ok(expr) => expr.evaluate(&amount).map_or_else(|e| format!("{e:?}"), |q| q.to_string()),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn reckons_as_kruise_does() {
        for (text, amount, wanted) in [
            ("cpu*50%", "1", "500m"),
            ("memory*50%", "1Gi", "512Mi"),
            ("min(max(max(0.5, 0.5*cpu), cpu-1), 3)", "1200m", "600m"),
            ("(memory + 100Mi) * 2", "1280Mi", "2760Mi"),
            ("(cpu+100m)/3", "600m", "233m"),
            ("cpu-100m-50m", "1200m", "1050m"),
            ("memory/2/2", "1280Mi", "320Mi"),
            ("memory-128Mi", "1280Mi", "1152Mi"),
            ("memory/5", "1Gi", "214748364800m"),
            ("memory/3", "1Ti", "366503875925333m"),
            ("cpu-1", "1", "0"),
            ("1.5", "1Gi", "1500m"),
            ("1000", "1Gi", "1k"),
            ("cpu*1e1", "1200m", "12"),
            ("memory*1E-1", "640Mi", "64Mi"),
            ("-cpu + 2", "1", "1"),
            ("cpu*100m", "1", "QuantityTimesQuantity"),
            ("1/cpu", "1", "DividedByQuantity"),
            ("cpu/0", "1", "DividedByZero"),
            ("cpu-2", "1", "Negative"),
            ("MAX(Memory, 1Mi)", "1Gi", "Undefined(Memory)"),
            ("cpu*1e30", "1", "Overflow"),
        ] {
            assert_eq!(value(text, amount), wanted, "{text} of {amount}");
        }
    }

    #[test]
    fn says_where_a_text_is_no_expression() {
        for (text, column) in [
            ("", 1),
            ("cpu ^ 2", 5),
            ("cpu cpu", 5),
            ("max(cpu)", 8),
            ("max(1, 2, 3)", 9),
            ("avg(cpu, 1)", 1),
            ("disk", 1),
            ("5Zi", 1),
            ("1Ei", 1),
            ("1..5", 3),
            ("50%%", 4),
            ("5e", 1),
            ("(cpu", 5),
        ] {
            assert_eq!(parse(text).map_err(|e| e.column), Err(column), "{text}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&format!("cpu{}", "+1".repeat(100_000))).is_ok());
    }
}
