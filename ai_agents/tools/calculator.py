"""The built-in calculator: a tool around `arithmetic`."""

from ai_agents.core.types import ToolDefinition
from ai_agents.tools.arithmetic import MAX_CHARACTERS, evaluate
from ai_agents.tools.base import Tool, ToolError
from ai_agents.tools.numbers import ArithmeticFault


class Calculator(Tool):
    """Works out arithmetic exactly where that is possible."""

    name = "calculator"
    description = (
        "Evaluates an arithmetic expression, exactly for decimal numbers. Operators: + - * / // % ** (or ^) and "
        "parentheses. Functions: sqrt, abs, round(x, digits), floor, ceil, min, max, sum, factorial, exp, ln, "
        "log (base 10), log(x, base), log2, sin, cos, tan, asin, acos, atan (radians), radians, degrees. "
        "Constants: pi, e."
    )
    retry_safe = True

    async def execute(self, expression: str) -> str:
        """The value as text. Raises `ToolError` for what cannot be worked out."""
        # Not in a thread: the bounds of `evaluate` keep it short, and most take less time than a thread does to start.
        try:
            return evaluate(expression)
        except ArithmeticFault as fault:
            raise ToolError(str(fault)) from None

    def get_definition(self) -> ToolDefinition:
        """One argument, the expression."""
        return ToolDefinition(
            name=self.name,
            description=self.description,
            parameters={
                "type": "object",
                "properties": {
                    "expression": {
                        "type": "string",
                        "maxLength": MAX_CHARACTERS,
                        "description": "For example: (0.1 + 0.2) * 3",
                    }
                },
                "required": ["expression"],
                "additionalProperties": False,
            },
        )
