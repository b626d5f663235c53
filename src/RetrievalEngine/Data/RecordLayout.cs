namespace RetrievalEngine.Data;

/// <summary>In which fields of a JSON line id, title and text lie. What queries have in the place of a title is their prompt.</summary>
/// <param name="Id">Name of the field with the id.</param>
/// <param name="Text">Name of the field with the text.</param>
/// <param name="Title">Name of the field with the title, which may be absent from a line; null where the layout has none.</param>
internal sealed record RecordLayout(string Id, string Text, string? Title = null);
