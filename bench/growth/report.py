"""The table, and which aims are met."""

from growth.scans import BOTH

LIST_MS, SESSION_MS, SMALL_ERASED_MS, HEAVY_ERASED_MS = 20, 50, 1_000, 60_000
RATIO, SLACK_MS, TOKEN_RATIO = 1.3, 1, 1.5


def show(run):
    sizes = run.sizes
    print(table(run.times, sizes))
    print("\n## Aims\n")
    for what, missed in aims(run.times, run.routes, run.strange, sizes):
        print(f"- {what}: " + ("met" if not missed else "not met: " + "; ".join(missed)))
    last = run.at_the_end()
    print(f"\n## Whole reads of tables or indexes of more than 10,000 rows, at {sizes[-1]:,}\n")
    for one in sorted(last):
        print(whole(one, run.found[one]))
    print("\n## The same, at smaller sizes only\n")
    both = {one for one in run.found if one[1].startswith(BOTH)}
    for one in sorted(set(run.found) - set(last) - both):
        print(whole(one, run.found[one]))
    print("\n## Two indexes read to the end for the rows that stand in both\n")
    for one in sorted(both):
        print(whole(one, run.found[one]))
    print()
    for (label, column, size), status in run.strange.items():
        print(f"- not measured: {label} ({column}) at {size:,} " + (f"answered {status}" if status else "has no such thing"))


def whole(one, where):
    name, how, statement = one
    places = [f"{place} at {' and '.join(f'{size:,}' for size in sizes)}" for place, sizes in where.items()]
    more = f" and {len(places) - 4} more" if len(places) > 4 else ""
    return f"- {name}, {how}: `{statement[:150]}`: " + ", ".join(places[:4]) + more


def table(times, sizes):
    head = ["route"] + [f"small {size:,}" for size in sizes] + ["last/first"] + [f"heavy {size:,}" for size in sizes]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for label, row in times.items():
        small = [row.get(f"small {size}") for size in sizes]
        ratio = f"{small[-1] / small[0]:.2f}" if small[0] and small[-1] else ""
        heavy = [row.get(f"heavy {size}") for size in sizes]
        lines.append("| " + " | ".join([label, *map(number, small), ratio, *map(number, heavy)]) + " |")
    return "\n".join(lines)


def number(ms):
    return "" if ms is None else f"{ms:,.1f}" if ms < 1_000 else f"{ms:,.0f}"


def aims(times, routes, strange, sizes):
    """What is asked for, and who misses it."""
    first, last = sizes[0], sizes[-1]

    def of(label, column, size=last):
        return times[label].get(f"{column} {size}")

    grown = []
    for label in times:
        begun, now = of(label, "small", first), of(label, "small")
        if begun and now and now > RATIO * begun and now > begun + SLACK_MS:
            grown.append(f"{label} {begun:.1f} → {now:.1f} ms")
    yield f"a small account's route costs at most {RATIO} times at {last:,}, or {SLACK_MS} ms more", grown
    tokens = [route.label for route in routes if route.first_token]
    yield f"a heavy account's first token at most {TOKEN_RATIO} times the small one's", [
        f"{label} {of(label, 'small'):.1f}, {of(label, 'heavy'):.1f} ms" for label in tokens
        if (of(label, "heavy") or 0) > TOKEN_RATIO * (of(label, "small") or 0)]
    yield "every route answers", [f"{label} ({column}): {status}" for (label, column, _), status in strange.items() if status]
    lists = [route.label for route in routes if route.is_list and not route.is_admin]
    yield f"no list of a heavy account over {LIST_MS} ms", [
        f"{label} {of(label, 'heavy'):.1f} ms" for label in lists if (of(label, "heavy") or 0) > LIST_MS]
    delete, erase = "DELETE /chat/sessions/{id}, 20 messages", "DELETE /users/me, until erased"
    for label, column, most, what in [(delete, "small", SESSION_MS, "a session deleted"), (delete, "heavy", SESSION_MS, "a heavy account's session deleted"),
                                      (erase, "small", SMALL_ERASED_MS, "a small account erased"), (erase, "heavy", HEAVY_ERASED_MS, "a heavy account erased")]:
        took = of(label, column)
        yield f"{what} in {most:,} ms: {took:,.0f} ms", [] if took <= most else ["too slow"]
