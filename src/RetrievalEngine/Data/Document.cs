namespace RetrievalEngine.Data;

/// <summary>A document (passage) of a corpus.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Title">Its title; empty where there is none.</param>
/// <param name="Text">Its text, as in the file.</param>
public readonly record struct Document(string Id, string Title, string Text);
