"""Path templates: where a release's table says that its files lie.

A {field} stands for one or more characters other than "/", the same ones wherever it occurs again in a template.
[fields] may narrow it to a regular expression. A * stands for any characters other than "/". A template is matched
against the end of a file's path, so the user may give the release's folder or any folder above it. A template that
ends in .nii or .nii.gz matches both endings, in upper and lower case.
"""

import re
from collections.abc import Mapping


def template_pattern(template: str, fields: Mapping[str, str]) -> re.Pattern[str]:
    """Compile a template into a regular expression, with a named group per field, that matches the end of a path.

    Raises:
        re.error: a field's own regular expression is invalid.
    """
    template, is_nifti = re.subn(r"\.nii(\.gz)?$", "", template)
    seen: set[str] = set()
    pattern = r"(?:^|/)"
    for part in re.split(r"(\{\w+\}|\*)", template):
        if part == "*":
            pattern += "[^/]*"
        elif part.startswith("{"):
            name = part[1:-1]
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{fields.get(name, '[^/]+?')})"
            seen.add(name)
        else:
            pattern += re.escape(part)
    return re.compile(pattern + (r"\.(?i:nii|nii\.gz)$" if is_nifti else "$"))


def field_names(template: str) -> set[str]:
    """Return the names of the fields of a template."""
    return set(re.findall(r"\{(\w+)\}", template))


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """Turn a template into a path: replace each {field} by its value, and each * by the value of "*"."""
    return template.replace("*", values.get("*", "")).format_map(values)
