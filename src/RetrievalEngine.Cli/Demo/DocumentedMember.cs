using System.Collections.Generic;

namespace RetrievalEngine.Cli.Demo;

/// <summary>One <c>member</c> of an XML documentation file, its texts without markup and with references written as names.</summary>
/// <param name="Kind">T type, M method, P property, F field, E event.</param>
/// <param name="Path">Full name without kind and parameters: <c>System.Collections.Generic.List`1.Add</c>.</param>
/// <param name="Signature">The parameters as a reader sees them: <c>(T item)</c>; empty where there are none.</param>
/// <param name="Summary">What it is for; empty where missing or inherited.</param>
/// <param name="Parameters">Name and text of each type parameter and parameter.</param>
/// <param name="Returns">What comes back, or a property's value.</param>
/// <param name="Remarks">Anything more.</param>
internal sealed record DocumentedMember(
    char Kind, string Path, string Signature, string Summary, IReadOnlyList<(string Name, string Text)> Parameters, string Returns, string Remarks);
